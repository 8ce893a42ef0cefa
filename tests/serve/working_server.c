/* A server for test_working.c: handlers whose work runs elsewhere, and threads of its own that hand
 * functions to the cores. What happens is told on stderr, a line each. */

#include <torc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static torc_server *server;

static void say(const char *what, int value)
{
    fprintf(stderr, "%s %d\n", what, value);
}

/* ---- posts ---- */

enum { POSTERS = 3, POSTS = 2000, CORES = 2 };

/* Of one core: only its functions write here, so it needs no lock. */
static struct {
    _Alignas(64) unsigned ran, newest[POSTERS], disordered;
} seen[CORES];

struct numbered {
    unsigned core, poster, n;
};

static void count(void *arg)
{
    struct numbered own = *(struct numbered *)arg;
    free(arg);
    seen[own.core].ran++;
    seen[own.core].disordered += own.n != seen[own.core].newest[own.poster] + 1;
    seen[own.core].newest[own.poster] = own.n;
}

static void *post_many(void *arg)
{
    unsigned poster = *(unsigned *)arg;
    for (unsigned n = 1; n <= POSTS; n++) {
        for (unsigned core = 0; core < CORES; core++) {
            struct numbered *p = malloc(sizeof *p);
            if (!p) abort();
            *p = (struct numbered){core, poster, n};
            if (torc_post(server, core, count, p) < 0) abort();
        }
    }
    return NULL;
}

/* Posts from several threads to both cores. */
static void posts(torc_req *rq, void *arg)
{
    pthread_t thread[POSTERS];
    unsigned number[POSTERS];
    (void)arg;
    for (unsigned i = 0; i < POSTERS; i++) {
        number[i] = i;
        if (pthread_create(&thread[i], NULL, post_many, &number[i]) != 0) abort();
    }
    for (int i = 0; i < POSTERS; i++) pthread_join(thread[i], NULL);
    torc_replyf(rq, 200, "%d", torc_post(server, 1000, count, NULL));
}

/* What this core has seen. */
static void posted(torc_req *rq, void *arg)
{
    unsigned core = torc_core(rq);
    (void)arg;
    torc_replyf(rq, 200, "core %u: %u run, %u out of order", core, seen[core].ran,
                seen[core].disordered);
}

static _Atomic int again_result;

/* Posts itself again for as long as it may. */
static void again(void *arg)
{
    again_result = torc_post(server, 0, again, arg);
}

static void posts_again(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%d", torc_post(server, 0, again, NULL));
}

/* ---- */

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        torc_handler *fn;
    } routes[] = {{"/posts", posts}, {"/posted", posted}, {"/posts-again", posts_again}};
    server = torc_server_new("working 1.0");
    for (size_t i = 0; server && i < sizeof routes / sizeof *routes; i++)
        if (torc_route(server, "GET", routes[i].path, routes[i].fn, NULL) < 0) return 1;
    if (!server) return 1;
    say("before", torc_post(server, 0, count, NULL));
    int status = torc_server_main(server, argc, argv);
    say("again", again_result);
    say("after", torc_post(server, 0, count, NULL));
    torc_server_free(server);
    return status;
}
