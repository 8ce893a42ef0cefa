/* A server for test_working.c: handlers whose work runs elsewhere, and threads of its own that hand
 * functions to the cores. What happens is told on stderr, a line each. */

#include "overflow.h"
#include "unread.h"

#include <torc.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static torc_server *server;

static void say(const char *what, int value)
{
    fprintf(stderr, "%s %d\n", what, value);
}

/* ---- posts ---- */

enum { POSTERS = 3, POSTS = 2000, CORES = 2 };

/* Of one core: only its functions write here, so it needs no lock. */
static struct {
    _Alignas(64) unsigned ran, newest[POSTERS], disordered, overlaps;
    bool in_tick;
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

/* ---- jobs ---- */

static atomic_bool let_go; /* by SIGUSR1: jobs return */

static void on_usr1(int signal)
{
    (void)signal;
    let_go = true;
}

/* Until it is let go, or cancelled. */
static int hold(torc_job *job, void *arg)
{
    (void)arg;
    say("begun", 0);
    while (!let_go && !torc_work_cancelled(job)) usleep(100);
    if (!let_go) say("told", 0);
    return 7;
}

/* Until it is let go, whether or not it is cancelled. */
static int insist(torc_job *job, void *arg)
{
    (void)job, (void)arg;
    say("begun", 0);
    while (!let_go) usleep(100);
    return 7;
}

static int never_return(torc_job *job, void *arg)
{
    (void)job, (void)arg;
    say("begun", 0);
    while (true) pause();
    return 0;
}

static void clean(void *arg)
{
    say("cleaned", *(int *)arg);
    free(arg);
}

static void *number(int n)
{
    int *p = malloc(sizeof *p);
    if (!p) abort();
    *p = n;
    return p;
}

/* `arg` is the job. Its argument belongs to the handler. */
static void attends(torc_req *rq, void *arg)
{
    int on_stack = 0, result = torc_work(rq, *(torc_work_fn **)arg, &on_stack, NULL);
    say("attended", result);
    torc_replyf(rq, 200, "%d", result);
}

static void leaves(torc_req *rq, void *arg)
{
    int result = torc_work(rq, *(torc_work_fn **)arg, number(3), clean);
    say("left", result);
    torc_replyf(rq, 200, "%d", result);
}

static void hurries(torc_req *rq, void *arg)
{
    torc_deadline(rq, 10);
    leaves(rq, arg);
}

static int copy_name(torc_job *job, void *arg)
{
    (void)job;
    return pthread_getname_np(pthread_self(), arg, 16);
}

static void names_its_thread(torc_req *rq, void *arg)
{
    char name[16];
    (void)arg;
    int result = torc_work(rq, copy_name, name, NULL);
    torc_replyf(rq, 200, "%d %s", result, name);
}

/* ---- faults ---- */

static int overflow(torc_job *job, void *arg)
{
    (void)job, (void)arg;
    return overflow_stack();
}

/* Until its request has ended, and longer. */
static int overflow_later(torc_job *job, void *arg)
{
    say("begun", 0);
    while (!torc_work_cancelled(job)) usleep(100);
    usleep(100 * 1000);
    return overflow(job, arg);
}

static void overflow_posted(void *arg)
{
    overflow(NULL, arg);
}

static void posts_overflow(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%d", torc_post(server, 0, overflow_posted, NULL));
}

/* Not to NULL: the sanitizers would tell, and end the process before the fault. */
static int write_nowhere(torc_job *job, void *arg)
{
    (void)job, (void)arg;
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[64] = 1;
    return 0;
}

static int write_nowhere_unread(torc_job *job, void *arg)
{
    unread_stderr();
    return write_nowhere(job, arg);
}

/* To stdout, as nobody may read stderr. */
static void on_segv(int signal)
{
    static const char line[] = "the program's own handler\n";
    (void)signal;
    if (write(STDOUT_FILENO, line, sizeof line - 1) < 0) _exit(4);
    _exit(3);
}

/* ---- what runs every so often ---- */

static const char *tick; /* what it does: --tick; NULL for nothing */

static bool ticks_by(const char *how)
{
    return tick && strcmp(tick, how) == 0;
}

/* Each run lasts longer than the period. */
static void tick_count(torc_req *rq)
{
    unsigned core = torc_core(rq);
    seen[core].overlaps += seen[core].in_tick;
    seen[core].in_tick = true;
    if (torc_reply(rq, 200, NULL, TORC_S("to whom?")) != -ENOTCONN || !torc_alloc(rq, 4000))
        abort();
    torc_sleep(rq, 5);
    seen[core].in_tick = false;
}

static void on_tick(torc_req *rq, void *arg)
{
    (void)arg;
    if (ticks_by("count")) tick_count(rq);
    if (ticks_by("sleep")) say("tick slept", torc_sleep(rq, 3600 * 1000));
    if (ticks_by("await")) say("tick awaited", torc_await(rq, TORC_DRAINING));
    if (ticks_by("hang"))
        for (;;) pause();
}

static void ticked(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%u", seen[torc_core(rq)].overlaps);
}

/* ---- metrics ---- */

static int metrics_asked;

static void metrics(torc_metrics *out, void *arg)
{
    static const char *const wrong[] = {"", "1st", "torc_own", "a-b", "a b"};
    int *asked = arg;
    ++*asked;
    say("counter", torc_metric(out, TORC_COUNTER, "asked_total", "one\\two\nthree", *asked));
    say("gauge", torc_metric(out, TORC_GAUGE, "heat", "degrees", -1.5));
    say("twice", torc_metric(out, TORC_GAUGE, "heat", "again", 7));
    torc_metric(out, TORC_GAUGE, "endless", "no number", 1e308 * 10);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (torc_metric(out, TORC_GAUGE, wrong[i], "", 0) != -EINVAL) abort();
}

static void more_metrics(torc_metrics *out, void *arg)
{
    (void)arg;
    say("more", torc_metric(out, TORC_GAUGE, "later", "the second function's", 12345678));
    say("twice", torc_metric(out, TORC_GAUGE, "asked_total", "of the first", 7));
}

/* ---- */

static torc_work_fn *job_hold = hold, *job_insist = insist, *job_forever = never_return,
                    *job_overflow = overflow, *job_overflow_later = overflow_later,
                    *job_nowhere = write_nowhere, *job_nowhere_unread = write_nowhere_unread;

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        torc_handler *fn;
        torc_work_fn **job;
    } routes[] = {
        {"/posts", posts, NULL},
        {"/posted", posted, NULL},
        {"/posts-again", posts_again, NULL},
        {"/attends", attends, &job_hold},
        {"/leaves", leaves, &job_hold},
        {"/leaves-insisting", leaves, &job_insist},
        {"/leaves-forever", leaves, &job_forever},
        {"/hurries", hurries, &job_hold},
        {"/thread", names_its_thread, NULL},
        {"/ticked", ticked, NULL},
        {"/overflow/attended/:how", attends, &job_overflow},
        {"/overflow/left/:how", leaves, &job_overflow},
        {"/overflow/later/:how", leaves, &job_overflow_later},
        {"/overflow/posted", posts_overflow, NULL},
        {"/nowhere", attends, &job_nowhere},
        {"/nowhere-unread", attends, &job_nowhere_unread},
    };
    server = torc_server_new("working 1.0");
    for (size_t i = 0; server && i < sizeof routes / sizeof *routes; i++)
        if (torc_route(server, "GET", routes[i].path, routes[i].fn, routes[i].job) < 0) return 1;
    if (!server || torc_server_option(server, "tick", "HOW", "what ticks do", &tick) < 0) return 1;
    if (torc_every(server, 0, on_tick, NULL) != -EINVAL) return 1;
    if (torc_every(server, 1, on_tick, NULL) < 0) return 1;
    if (torc_metrics_add(server, metrics, &metrics_asked) < 0) return 1;
    if (torc_metrics_add(server, more_metrics, NULL) < 0) return 1;
    signal(SIGUSR1, on_usr1);
    if (getenv("OWN_HANDLER")) signal(SIGSEGV, on_segv);
    say("before", torc_post(server, 0, count, NULL));
    int status = torc_server_main(server, argc, argv);
    say("again", again_result);
    say("after", torc_post(server, 0, count, NULL));
    torc_server_free(server);
    return status;
}
