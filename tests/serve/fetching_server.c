/* A server whose handlers ask another server. What they found is the response's body. */

#include "torc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE_MAX = 16 << 20 };

static torc_client *client, *narrow;

static const char *text(torc_req *rq, const char *name)
{
    torc_slice value = torc_query_param(rq, name);
    char *copy = value.ptr ? torc_alloc(rq, value.len + 1) : NULL;
    if (!copy) return NULL;
    memcpy(copy, value.ptr, value.len);
    copy[value.len] = '\0';
    return copy;
}

static unsigned number(torc_req *rq, const char *name)
{
    const char *value = text(rq, name);
    return value ? (unsigned)strtoul(value, NULL, 10) : 0;
}

static void put(torc_req *rq, const char *what, torc_slice value)
{
    torc_write(rq, what, strlen(what));
    torc_write(rq, value.ptr, value.len);
    torc_write(rq, "\n", 1);
}

static void tell(torc_req *rq, torc_exchange *x)
{
    char status[16];
    torc_slice name, value;
    int n = snprintf(status, sizeof status, "%d", torc_fetch_status(x));
    if (torc_start(rq, 200, "text/plain", -1) < 0) return;
    put(rq, "status ", (torc_slice){status, (size_t)n});
    for (size_t at = 0; torc_fetch_header_next(x, &at, &name, &value);) {
        torc_write(rq, name.ptr, name.len);
        put(rq, "=", value);
    }
    put(rq, "server ", torc_fetch_header(x, "SERVER"));
}

static void fail(torc_req *rq, int err)
{
    fprintf(stderr, "handler: fetch %d\n", err);
    torc_replyf(rq, 200, "error %d", err);
}

static torc_fetch_options options(torc_req *rq)
{
    static const torc_field more[] = {{{"X-More", 6}, {"1", 1}},
                                      {{"Authorization", 13}, {"secret", 6}},
                                      {{"Content-Type", 12}, {"text/x", 6}},
                                      {{"Cookie", 6}, {"a=secret", 8}},
                                      {{"Proxy-Authorization", 19}, {"secret", 6}}};
    torc_fetch_options o = {
        .url = text(rq, "url"),
        .method = text(rq, "method"),
        .connect_to = text(rq, "to"),
        .redirects = number(rq, "redirects"),
        .max_body = number(rq, "most"),
        .body = torc_query_param(rq, "body"),
        .fields = more,
        .n_fields = number(rq, "fields"),
        .no_trace = number(rq, "untraced"),
    };
    if (text(rq, "deadline")) torc_deadline(rq, number(rq, "deadline"));
    return o;
}

static void fetches(torc_req *rq, void *arg)
{
    torc_exchange *x = (torc_exchange *)rq;
    torc_fetch_options o = options(rq);
    static char large[LARGE_MAX];
    unsigned size = number(rq, "large");
    if (size && size <= LARGE_MAX) o.body = (torc_slice){memset(large, 'b', size), size};
    torc_field wrong = {torc_query_param(rq, "name"), TORC_S("x")};
    (void)arg;
    if (wrong.name.ptr) o.fields = &wrong;
    if (wrong.name.ptr) o.n_fields = 1;
    int err = torc_fetch(rq, text(rq, "narrow") ? narrow : client, &o, &x);
    if (err < 0) {
        if (x) abort();
        fail(rq, err);
        return;
    }
    tell(rq, x);
    put(rq, "body ", torc_fetch_body(x));
    torc_fetch_close(x);
}

/* Passes the body of the request on, and the answer back, in pieces; closes nothing. */
static void streams(torc_req *rq, void *arg)
{
    char buf[3000];
    torc_exchange *x;
    ssize_t n;
    torc_fetch_options o = options(rq);
    (void)arg;
    o.streamed = true;
    o.length = text(rq, "length") ? (int64_t)number(rq, "length") : -1;
    int err = torc_fetch_open(rq, client, &o, &x);
    if (err < 0) {
        fail(rq, err);
        return;
    }
    while (err == 0 && (n = torc_body_read(rq, buf, sizeof buf)) > 0)
        err = torc_fetch_write(rq, x, buf, (size_t)n);
    if (err == 0 || err == -EPIPE) err = torc_fetch_response(rq, x);
    if (err < 0) {
        fail(rq, err);
        return;
    }
    tell(rq, x);
    torc_write(rq, "body ", 5);
    while ((n = torc_fetch_read(rq, x, buf, 1 + (size_t)rand() % sizeof buf)) > 0)
        torc_write(rq, buf, (size_t)n);
    if (n < 0) fprintf(stderr, "handler: read %d\n", (int)n);
}

/* Several at once, each with a line of its own. */
static int one_of_many(torc_req *rq, void *arg)
{
    torc_exchange *x;
    torc_fetch_options o = {.url = text(rq, "url")};
    int *result = arg;
    *result = torc_fetch(rq, narrow, &o, &x);
    if (*result == 0) *result = torc_fetch_status(x);
    return 0;
}

static void many(torc_req *rq, void *arg)
{
    enum { MANY = 20 };
    int result[MANY], ok = 0, full = 0;
    unsigned n = number(rq, "n");
    torc_group *g = torc_group_open(rq);
    (void)arg;
    if (text(rq, "deadline")) torc_group_deadline(g, number(rq, "deadline"));
    for (unsigned i = 0; i < n && i < MANY; i++) torc_spawn(g, one_of_many, &result[i]);
    torc_group_join(g);
    int other = 0;
    for (unsigned i = 0; i < n && i < MANY; i++) {
        ok += result[i] == 200;
        full += result[i] == -EAGAIN;
        if (result[i] != 200 && result[i] != -EAGAIN) other = result[i];
    }
    torc_replyf(rq, 200, "ok %d full %d other %d", ok, full, other);
}

/* Closes an exchange that another fiber waits for. */
static int reads(torc_req *rq, void *arg)
{
    torc_exchange *x = *(torc_exchange **)arg;
    fprintf(stderr, "handler: waits 0\n");
    fprintf(stderr, "handler: waited %d\n", torc_fetch_response(rq, x));
    return 0;
}

static void closes(torc_req *rq, void *arg)
{
    torc_exchange *x;
    torc_fetch_options o = options(rq);
    torc_group *g = torc_group_open(rq);
    (void)arg;
    int err = torc_fetch_open(rq, client, &o, &x);
    if (err < 0) {
        fail(rq, err);
        return;
    }
    torc_spawn(g, reads, &x);
    err = torc_fetch_response(rq, x);
    torc_fetch_close(x);
    torc_group_join(g);
    torc_replyf(rq, 200, "busy %d", err);
}

/* Closes an exchange when what another fiber sends by it has been sent, and that fiber is about to
 * return: both wait for a send, and this one has come first. */
struct race {
    torc_exchange *x;
    torc_stream *first;
    bool writing, closed_meanwhile;
    int result;
};

static int closes_first(torc_req *rq, void *arg)
{
    struct race *r = arg;
    int err = torc_stream_write(rq, r->first, "x", 1);
    r->closed_meanwhile = r->writing;
    torc_fetch_close(r->x);
    return err;
}

static int writes(torc_req *rq, void *arg)
{
    struct race *r = arg;
    r->writing = true;
    r->result = torc_fetch_write(rq, r->x, "x", 1);
    r->writing = false;
    return 0;
}

static int race(torc_req *rq, struct race *r)
{
    torc_fetch_options o = options(rq);
    o.streamed = true;
    o.length = -1;
    int err = torc_connect(rq, o.connect_to, &r->first);
    if (err < 0) return err;
    err = torc_fetch_open(rq, client, &o, &r->x);
    if (err < 0) return err;
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, closes_first, r);
    torc_spawn(g, writes, r);
    err = torc_group_join(g);
    torc_stream_close(r->first);
    return err;
}

static void races(torc_req *rq, void *arg)
{
    enum { RACES = 10 };
    int met = 0, other = 0;
    (void)arg;
    for (int i = 0; i < RACES; i++) {
        struct race r = {0};
        int err = race(rq, &r);
        if (err < 0) {
            fail(rq, err);
            return;
        }
        met += r.closed_meanwhile;
        if (r.closed_meanwhile && r.result != -EBADF) other++;
    }
    torc_replyf(rq, 200, "%s, %d of them otherwise", met ? "closed" : "never", other);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *method, *path;
        torc_handler *fn;
    } routes[] = {{"GET", "/fetch", fetches},
                  {"POST", "/stream", streams},
                  {"GET", "/many", many},
                  {"GET", "/closes", closes},
                  {"GET", "/races", races}};
    /* The tests count connections: none may end between two requests, however slow a client is. */
    enum { KEPT_MS = 10 * 60 * 1000 };
    const torc_client_options kept = {.idle_ms = KEPT_MS};
    const torc_client_options two = {
        .connections = 2, .waiting = 5, .idle_ms = KEPT_MS, .max_head = 200};
    torc_server *s = torc_server_new("fetching 1.0");
    client = torc_client_new(&kept);
    narrow = torc_client_new(&two);
    for (size_t i = 0; s && i < sizeof routes / sizeof *routes; i++)
        if (torc_route(s, routes[i].method, routes[i].path, routes[i].fn, NULL) < 0) return 1;
    int status = s ? torc_server_main(s, argc, argv) : 1;
    torc_server_free(s);
    torc_client_free(client);
    torc_client_free(narrow);
    return status;
}
