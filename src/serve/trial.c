/* torc/test.h: a core of its own in the calling thread, whose requests have no socket. */

#include "torc/test.h"

#include "files/static.h"
#include "http/trial.h"
#include "io/network.h"
#include "serve/cores.h"
#include "serve/mount.h"
#include "serve/needs.h"
#include "serve/process.h"
#include "serve/routing.h"
#include "serve/server_state.h"
#include "task/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_NS     (60 * NS_PER_S)
#define JOB_LIMIT_NS (10 * NS_PER_S)

enum { SOCKETS = 64 }; /* none of clients */

struct torc_test {
    struct core core;
    struct torc_server *server;
    struct trial *trial; /* the last request; NULL before the first */
    struct wheel_timer timer;
    int cancel_with; /* when it fires */
    bool hooks_started;
    struct io_post begin;
    const torc_test_request *request; /* that begins */
    slice head;
};

/* ---- opening ---- */

static void on_turn_end(struct io *io)
{
    http_end_turn(&container_of(io, struct core, loop.io)->http, io->turn_end);
}

/* The one that is asked for, else the first that opens, those that need nothing first. */
static int open_engine(struct torc_server *s, struct io *io)
{
    const struct options *o = s->options;
    const struct io_engine *list[4] = {io_engine_find(o->engine ? o->engine : "epoll")};
    size_t n = list[0] ? 1 : 0;
    char why[512];
    int err = -ENOSYS;
    for (const struct io_engine *const *e = io_engines; *e && !o->engine && n < 4; e++)
        list[n++] = *e;
    for (size_t i = 0; i < n; i++) {
        struct io_config config = o->io;
        config.max_sockets = SOCKETS;
        config.rings = 1;
        config.wake_fd = 0;
        err = io_probe(list[i], &config, why, sizeof why);
        if (err == 0) err = io_open(io, list[i], &config);
        s->engine = list[i];
        if (err == 0) return 0;
    }
    return err;
}

static int open_parts(struct torc_test *t)
{
    struct torc_server *s = t->server;
    struct core *c = &t->core;
    const struct options *o = s->options;
    struct file_cache_limits limits = {o->file_cache, o->file_cache_ttl};
    int err = mounts_check(s);
    if (err < 0) return err;
    stack_find_loaded();
    s->files = static_open(&limits, 1);
    c->pool = offload_new(options_work_threads(o), o->work_queue);
    if (o->root) c->root = core_root_new(o->root);
    if (!s->files || !c->pool || (o->root && !c->root) || !routing_freeze(s))
        return server_fail(s, -ENOMEM, "out of memory");
    c->files = static_core_of(s->files, 0);
    err = open_engine(s, &c->loop.io);
    return err < 0 ? server_fail(s, err, "no engine can be opened: %s", strerror(-err)) : 0;
}

/* The server has one core, so that torc_post reaches it. */
static void enter(struct torc_test *t)
{
    struct torc_server *s = t->server;
    struct core *c = &t->core;
    c->limits = s->options->limits;
    c->server = s;
    c->loop.io.on_turn_end = on_turn_end;
    http_open(&c->http, &c->loop.io, &c->limits, s->router, 0);
    c->http.pool = c->http.resolver.pool = c->pool;
    c->http.files = c->files;
    c->http.error_handlers = s->error_handlers;
    c->http.user = c;
    c->ends = s->ends;
    c->n_ends = s->n_ends;
    if (c->n_ends) c->http.on_request_done = core_request_done;
    s->cores = c;
    s->n_cores = 1;
    process_watch();
    s->process = getpid(); /* before has_cores, as torc_post asks for it then */
    s->has_cores = true;
    s->started_at = clock_ns();
    measures_begin(&s->measures, c, 1, io_holds_thread(s->engine), s->started_at);
    s->phase = SERVER_TESTED;
}

static void on_hooks_started(struct hooks *h)
{
    struct torc_test *t = container_of(h, struct torc_test, core.hooks);
    t->hooks_started = true;
}

static void on_start_hooks(struct io_post *p)
{
    struct torc_test *t = container_of(p, struct torc_test, begin);
    hooks_start(&t->core.hooks, &t->core.http, on_hooks_started);
}

/* The kernel refuses what the engine waits with: nothing that waits will go on. */
static int fail_broken(struct torc_test *t)
{
    int err = t->core.loop.io.error;
    struct torc_server *s = t->server;
    return server_fail(s, err, "%s failed: %s", io_wait_call(s->engine), strerror(-err));
}

/* Runs what a core runs before it serves. */
static int run_start_functions(struct torc_test *t)
{
    struct core *c = &t->core;
    const struct torc_server *s = t->server;
    c->hooks = (struct hooks){.list = s->hooks, .n = s->n_hooks};
    if (s->n_hooks == 0) return 0;
    t->begin.fn = on_start_hooks;
    int err = io_post(&c->loop.io, &t->begin);
    while (err == 0 && !t->hooks_started && !c->loop.io.error) io_turn(&c->loop.io);
    if (c->loop.io.error) return fail_broken(t);
    return err < 0 ? err : c->hooks.error;
}

static void free_parts(struct torc_test *t)
{
    struct torc_server *s = t->server;
    offload_free(t->core.pool);
    if (s->files) static_close(s->files);
    s->files = NULL;
    core_root_release(t->core.root);
    needs_forget(s);
    free(t);
}

torc_test *torc_test_open(torc_server *s)
{
    int phase = SERVER_SETUP;
    if (!atomic_compare_exchange_strong(&s->phase, &phase, SERVER_STARTING)) {
        server_fail(s, -EBUSY, "the server was started before");
        return NULL;
    }
    struct torc_test *t = aligned_alloc(64, sizeof *t);
    s->has_run = true; /* and never will */
    s->phase = SERVER_ENDED;
    if (!t) {
        server_fail(s, -ENOMEM, "out of memory");
        return NULL;
    }
    memset(t, 0, sizeof *t);
    t->server = s;
    int err = needs_options(s);
    if (err == 0) err = open_parts(t);
    if (err < 0) {
        if (t->core.pool) offload_stop(t->core.pool, 0);
        free_parts(t);
        return NULL;
    }
    enter(t);
    err = run_start_functions(t);
    t->core.takes_posts = err == 0;
    if (err == 0) return t;
    if (!t->core.loop.io.error)
        server_fail(s, err, "a start function has failed: %s", strerror(-err));
    torc_test_close(t);
    return NULL;
}

/* ---- closing ---- */

static void free_last(struct torc_test *t)
{
    struct trial *d = t->trial;
    t->trial = NULL;
    if (!d) return;
    trial_text_free(&d->lines);
    trial_text_free(&d->content);
    trial_text_free(&d->trailers);
    trial_text_free(&d->hints);
    free(d);
}

/* False if the engine has failed. */
static bool drain(struct torc_test *t)
{
    struct io *io = &t->core.loop.io;
    t->core.http.draining = true;
    while (!io->error && !(core_end_posts(&t->core) && hooks_stop(&t->core.hooks, &t->core.http) &&
                           http_stop(&t->core.http) && io_idle(io) && io_close_inbox(io)))
        io_turn(io);
    return !io->error;
}

/* What a fiber that waits uses stays, as does what the kernel may write to. */
void torc_test_close(torc_test *t)
{
    if (!t) return;
    struct torc_server *s = t->server;
    if (!t->core.loop.io.error) free_last(t);
    bool drained = drain(t);
    if (drained) {
        http_close(&t->core.http);
        io_close(&t->core.loop.io);
    }
    bool ended = cores_end_posts(s);
    s->process = 0;
    s->cores = NULL;
    s->n_cores = 0;
    s->phase = SERVER_ENDED;
    bool stopped = offload_stop(t->core.pool, clock_ns() + JOB_LIMIT_NS);
    if (stopped && drained && ended)
        free_parts(t);
    else if (!stopped)
        offload_detach(t->core.pool); /* a job that runs on may still use the rest */
}

/* ---- running ---- */

static void on_timer(struct wheel_timer *timer)
{
    struct torc_test *t = container_of(timer, struct torc_test, timer);
    request_cancel(&t->trial->rq, t->cancel_with);
}

static bool is_word(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text == 0x7f) return false;
    return true;
}

/* Each line with its end, and none that ends the head. */
static bool are_lines(const char *fields)
{
    while (*fields) {
        const char *line = strstr(fields, "\r\n");
        if (!line || line == fields) return false;
        fields = line + 2;
    }
    return true;
}

static bool has_field(slice lines, slice name)
{
    for (slice line; slice_cut(&lines, '\n', &line);)
        if (line.len > name.len && line.ptr[name.len] == ':' &&
            slice_ieq(slice_of(line.ptr, name.len), name))
            return true;
    return false;
}

static bool add(struct trial_text *t, const char *text)
{
    return trial_text_add(t, text, strlen(text));
}

/* -EINVAL if it would be more than a head. */
static int put_head(struct trial_text *head, const torc_test_request *rq)
{
    const char *method = rq->method ? rq->method : "GET", *target = rq->target ? rq->target : "/";
    const char *fields = rq->fields ? rq->fields : "";
    char length[64];
    slice lines = slice_str(fields);
    if (!is_word(method) || !is_word(target) || !are_lines(fields)) return -EINVAL;
    bool sized =
        has_field(lines, SLICE("content-length")) || has_field(lines, SLICE("transfer-encoding"));
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", rq->body.len);
    bool put =
        add(head, method) && add(head, " ") && add(head, target) && add(head, " HTTP/1.1\r\n") &&
        (has_field(lines, SLICE("host")) || add(head, "Host: test\r\n")) && add(head, fields) &&
        (sized || !rq->body.ptr || add(head, length)) && add(head, "\r\n");
    return put ? 0 : -ENOMEM;
}

/* -EINVAL if that is no address. */
static int set_peer(struct visitor *v, const char *peer)
{
    slice text = slice_str(peer ? peer : "127.0.0.1:1024");
    if (slice_eq(text, SLICE("unix:")))
        v->addr.sa.sa_family = AF_UNIX;
    else if (!network_addr_parse(text, &v->addr))
        return -EINVAL;
    sock_peer_format(&v->addr, v->peer);
    return 0;
}

static int result_of(const struct trial *d)
{
    if (trial_is_complete(d)) return 0;
    return d->rq.cancelled && d->rq.cancelled != -EIO ? d->rq.cancelled : -EPIPE;
}

/* In a turn, as requests begin. */
static void on_begin(struct io_post *p)
{
    struct torc_test *t = container_of(p, struct torc_test, begin);
    struct http_context *ctx = &t->core.http;
    const torc_test_request *rq = t->request;
    uint64_t limit = rq->limit_ms ? rq->limit_ms * NS_PER_MS : LIMIT_NS;
    uint64_t gone = rq->gone_ms ? rq->gone_ms * NS_PER_MS : limit;
    t->cancel_with = gone < limit ? -ECONNRESET : -ETIMEDOUT;
    wheel_set(&ctx->io->wheel, &t->timer, ctx->io->now + (gone < limit ? gone : limit));
    trial_begin(t->trial, ctx, t->head, rq->body, rq->piece);
}

static int run(struct torc_test *t)
{
    struct io *io = &t->core.loop.io;
    t->begin.fn = on_begin;
    wheel_timer_init(&t->timer, on_timer);
    int err = io_post(io, &t->begin);
    if (err < 0) return err;
    while (!t->trial->returned && !io->error) io_turn(io);
    if (io->error) return fail_broken(t);
    wheel_clear(&io->wheel, &t->timer);
    int result = result_of(t->trial);
    trial_end(t->trial);
    return result;
}

int torc_test_run(torc_test *t, const torc_test_request *rq)
{
    struct trial_text head = {0};
    if (!pthread_equal(t->core.http.fibers.thread, pthread_self())) return -EPERM;
    if (t->core.http.fibers.running) return -EDEADLK;
    if (t->core.loop.io.error) return fail_broken(t);
    free_last(t);
    int err = put_head(&head, rq);
    if (err == 0) t->trial = calloc(1, sizeof *t->trial);
    if (err == 0 && !t->trial) err = -ENOMEM;
    if (err == 0) err = set_peer(&t->trial->visitor, rq->peer);
    t->request = rq;
    t->head = trial_text_slice(&head);
    if (err == 0) err = run(t);
    trial_text_free(&head);
    return err;
}

/* ---- the response ---- */

static slice find(const struct trial_text *lines, const char *name)
{
    slice want = slice_str(name), rest = trial_text_slice(lines), line, n;
    while (rest.len && slice_cut(&rest, '\n', &line)) {
        line.len--; /* CR */
        slice_cut(&line, ':', &n);
        if (slice_ieq(n, want)) return slice_trim(line);
    }
    return (slice){NULL, 0};
}

int torc_test_status(const torc_test *t)
{
    return t->trial ? t->trial->status : 0;
}

torc_slice torc_test_header(const torc_test *t, const char *name)
{
    return t->trial ? find(&t->trial->lines, name) : (slice){NULL, 0};
}

torc_slice torc_test_trailer(const torc_test *t, const char *name)
{
    return t->trial ? find(&t->trial->trailers, name) : (slice){NULL, 0};
}

bool torc_test_header_next(const torc_test *t, size_t *at, torc_slice *name, torc_slice *value)
{
    if (!t->trial || *at >= t->trial->lines.len) return false;
    slice rest = slice_skip(trial_text_slice(&t->trial->lines), *at), line;
    slice_cut(&rest, '\n', &line);
    if (line.len == 0) return false;
    *at += line.len + 1;
    line.len--; /* CR */
    slice_cut(&line, ':', name);
    *value = slice_trim(line);
    return true;
}

torc_slice torc_test_body(const torc_test *t)
{
    slice body =
        t->trial && t->trial->status ? trial_text_slice(&t->trial->content) : (slice){NULL, 0};
    return body.ptr || !torc_test_status(t) ? body : SLICE("");
}

torc_slice torc_test_hints(const torc_test *t)
{
    return t->trial ? trial_text_slice(&t->trial->hints) : (slice){NULL, 0};
}
