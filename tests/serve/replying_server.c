/* A server whose handlers reply in every way, and read forms. */

#include "torc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 3 << 20, HINTS = 40 };

static atomic_uint given, released;
static torc_event *told;

static void release(void *arg)
{
    free(arg);
    atomic_fetch_add(&released, 1);
}

static void own(torc_req *rq, void *arg)
{
    char *body = malloc(LARGE);
    (void)arg;
    if (!body) return;
    memset(body, 'x', LARGE);
    atomic_fetch_add(&given, 1);
    torc_reply_own(rq, 200, "text/plain", (torc_slice){body, LARGE}, release, body);
}

static void file(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_file(rq, getenv("DIRECTORY"), TORC_S("file"));
}

static int replies_large(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_reply_file(rq, getenv("DIRECTORY"), TORC_S("large"));
}

static void large(torc_req *rq, void *arg)
{
    replies_large(rq, arg);
}

static int fails_when_told(torc_req *rq, void *seen)
{
    torc_event_wait(rq, told, seen);
    return -1;
}

/* Until it is told so. */
static void cut(torc_req *rq, void *arg)
{
    uint64_t seen = torc_event_count(told);
    (void)arg;
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, replies_large, NULL);
    torc_spawn(g, fails_when_told, &seen);
    torc_group_join(g);
}

static int fails(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    return -1;
}

/* In the turn in which its response was begun. */
static void cut_at_once(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, replies_large, NULL);
    torc_spawn(g, fails, NULL);
    torc_group_join(g);
    torc_replyf(rq, 200, "second");
}

static void tell(torc_req *rq, void *arg)
{
    (void)arg;
    torc_event_signal(told);
    torc_replyf(rq, 200, "told");
}

static void starts(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, "text/plain", 4);
    torc_write(rq, "text", 4);
}

static void counts(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_json(rq, 200, "{\"given\":%u,\"released\":%u}", atomic_load(&given),
                    atomic_load(&released));
}

static void hint(torc_req *rq, void *arg)
{
    (void)arg;
    torc_hint(rq, TORC_S("</a.css>; rel=preload"));
    torc_sleep(rq, 20);
    torc_replyf(rq, 200, "page");
}

static int gives_a_hint(torc_req *rq, void *failed)
{
    static char link[20000];
    memset(link, 'x', sizeof link);
    if (torc_hint(rq, (torc_slice){link, sizeof link}) < 0) ++*(int *)failed;
    return 0;
}

/* More than the client's kernel and ours hold: most of the hints wait, and the response begins. */
static void hints(torc_req *rq, void *arg)
{
    int failed = 0;
    char text[16];
    (void)arg;
    torc_group *g = torc_group_open(rq);
    for (int i = 0; i < HINTS; i++) torc_spawn(g, gives_a_hint, &failed);
    torc_start(rq, 200, "text/plain", -1);
    torc_write(rq, "page", 4);
    torc_group_join(g);
    torc_write(rq, text, (size_t)snprintf(text, sizeof text, " %d", failed));
}

static void trailer(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, "text/plain", -1);
    torc_write(rq, "text", 4);
    torc_set_trailer(rq, TORC_S("X-Sum"), TORC_S("1"));
}

static void closes(torc_req *rq, void *arg)
{
    (void)arg;
    torc_close_after(rq);
    torc_replyf(rq, 200, "last");
}

static void form(torc_req *rq, void *arg)
{
    torc_slice name = torc_form(rq, "name");
    (void)arg;
    if (torc_form_read(rq) < 0) return;
    torc_set_cookie(rq, "name", name, NULL);
    torc_redirect(rq, 303, TORC_S("/counts"));
}

/* Responds as a handler that streams does; where none runs, what WAITS is refused. */
static void streams_error(torc_req *rq, int status, void *arg)
{
    torc_start(rq, status, "text/plain", arg ? 5 : -1);
    torc_write(rq, "error", 5);
}

static void replies_nothing(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
}

/* A type of that many bytes, or what becomes of it. */
static void type(torc_req *rq, void *arg)
{
    uint64_t n;
    (void)arg;
    if (!torc_slice_u64(torc_query_param(rq, "n"), &n)) return;
    char *text = torc_alloc(rq, n + 1);
    if (!text) return;
    memset(text, 'x', n);
    text[n] = '\0';
    int err = torc_reply(rq, 200, text, TORC_S("typed"));
    if (err == 0) return;
    err = torc_start(rq, 200, text, -1) == err ? err : 0;
    torc_replyf(rq, 200, "%d", err);
}

/* The number of parts, and the bytes in them. */
static void parts(torc_req *rq, void *arg)
{
    torc_part *part;
    int n = 0, more;
    int64_t size, all = 0;
    (void)arg;
    while ((more = torc_multipart_next(rq, &part)) > 0) {
        torc_file *file;
        if (torc_file_temp(rq, "/tmp", &file) < 0 || torc_part_file(rq, part, file, &size) < 0)
            return;
        n++;
        all += size;
        torc_file_close(rq, file);
    }
    if (more == 0) torc_replyf(rq, 200, "%d %lld", n, (long long)all);
}

static void writes_more(torc_req *rq, void *arg)
{
    (void)arg;
    torc_start(rq, 200, NULL, 2);
    torc_write(rq, "123456", 6);
    torc_end(rq);
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("replying 1.0");
    const struct {
        const char *method, *pattern;
        torc_handler *fn;
    } routes[] = {
        {"GET", "/own", own},
        {"GET", "/counts", counts},
        {"GET", "/large", large},
        {"GET", "/cut", cut},
        {"GET", "/cut-at-once", cut_at_once},
        {"GET", "/tell", tell},
        {"GET", "/hint", hint},
        {"GET", "/hints", hints},
        {"GET", "/trailer", trailer},
        {"GET", "/closes", closes},
        {"POST", "/form", form},
        {"POST", "/parts", parts},
        {"GET", "/type", type},
        {"POST", "/own", own},
        {"POST", "/file", file},
        {"POST", "/starts", starts},
        {"POST", "/counts", counts},
        {"GET", "/more", writes_more},
        {"GET", "/long/none", replies_nothing},
        {"GET", "/chunked/none", replies_nothing},
    };
    told = torc_event_new();
    int err = s && told ? 0 : -1;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && err == 0; i++)
        err = torc_route(s, routes[i].method, routes[i].pattern, routes[i].fn, NULL);
    if (err == 0) err = torc_errors(s, "/long", streams_error, "");
    if (err == 0) err = torc_errors(s, "/chunked", streams_error, NULL);
    if (err < 0) {
        fprintf(stderr, "replying_server: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    torc_event_free(told);
    return status;
}
