/* Fetches that are cancelled anywhere, with an upstream in the same thread: what is left behind
 * would fail the check of the core at its end. */

#include "client/fetch.h"

#include "../base/random.h"
#include "../task/core.h"
#include "files.h"
#include "http/context.h"
#include "io/sock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { VISITS = 32, FETCHES = 6, ROUNDS = 200 };

/* ---- an upstream, one step at a time ---- */

struct visit {
    int fd; /* -1: free */
    char in[4096];
    size_t len;
};

struct upstream {
    int listener;
    char address[SOCK_ADDR_TEXT];
    struct visit visit[VISITS];
};

static void upstream_open(struct upstream *u)
{
    struct sock_addr addr;
    assert_true(sock_addr_parse("127.0.0.1:0", &addr));
    u->listener = sock_listen(&addr, 100, false);
    assert_true(u->listener >= 0);
    sock_addr_format(&addr, u->address);
    for (int i = 0; i < VISITS; i++) u->visit[i].fd = -1;
}

static void leave(struct visit *v)
{
    close(v->fd);
    v->fd = -1;
    v->len = 0;
}

static void upstream_close(struct upstream *u)
{
    close(u->listener);
    for (int i = 0; i < VISITS; i++)
        if (u->visit[i].fd >= 0) leave(&u->visit[i]);
}

static void answer(struct visit *v)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
        "nonsense\r\n\r\n",
    };
    const char *text = answers[random_below(2) ? 0 : random_below(ARRAY_LEN(answers))];
    size_t n = random_below(4) ? strlen(text) : random_below(strlen(text));
    (void)!write(v->fd, text, n);
    v->len = 0;
    if (strstr(text, "close")) leave(v);
}

static void visit_step(struct visit *v)
{
    ssize_t n = recv(v->fd, v->in + v->len, sizeof v->in - 1 - v->len, MSG_DONTWAIT);
    if (n > 0) v->len += (size_t)n;
    v->in[v->len] = '\0';
    if (n == 0 || (n < 0 && errno != EAGAIN) || v->len == sizeof v->in - 1)
        leave(v);
    else if (random_below(20) == 0)
        leave(v);
    else if (strstr(v->in, "\r\n\r\n") && random_below(3))
        answer(v);
}

static void upstream_step(struct upstream *u)
{
    for (int i = 0; i < VISITS; i++) {
        struct visit *v = &u->visit[i];
        if (v->fd < 0) v->fd = accept4(u->listener, NULL, NULL, SOCK_CLOEXEC);
        if (v->fd >= 0) visit_step(v);
    }
}

/* ---- fetches ---- */

struct task {
    struct scope scope;
    struct fetch fetch;
    char url[SOCK_ADDR_TEXT + 16];
    bool streamed, done;
    int result;
};

static int stream(struct fetch *f, struct scope *scope)
{
    static const char piece[1000];
    char buf[100];
    ssize_t n;
    int err = fetch_start(f, scope);
    if (err == 0) err = fetch_write(f, scope, piece, sizeof piece);
    if (err == 0) err = fetch_response(f, scope);
    if (err < 0) return err;
    while ((n = fetch_read(f, scope, buf, sizeof buf)) > 0) continue;
    return (int)n;
}

static int run(struct task *t)
{
    assert_int_equal(fetch_prepare(&t->fetch), 0);
    if (t->streamed) return stream(&t->fetch, &t->scope);
    return fetch_whole(&t->fetch, &t->scope);
}

static void fetch_once(void *arg)
{
    struct task *t = arg;
    t->result = run(t);
    fetch_end(&t->fetch);
    t->done = true;
}

static void start(struct core *c, struct pool *p, struct upstream *u, struct task *t)
{
    static const char *const methods[] = {"GET", "POST", "HEAD"};
    static char large[500 * 1000];
    memset(t, 0, sizeof *t);
    scope_init(&t->scope, &c->io, &c->fibers, NULL);
    snprintf(t->url, sizeof t->url, "http://%s/path", u->address);
    t->streamed = random_below(4) == 0;
    t->fetch.pool = p;
    t->fetch.max_head = 1000;
    t->fetch.options = (torc_fetch_options){
        .method = methods[random_below(3)],
        .url = t->url,
        .redirects = 2,
        .streamed = t->streamed,
        .body = {t->streamed || random_below(2) ? NULL : large, sizeof large},
        .length = random_below(2) ? 1000 : -1,
    };
    assert_int_equal(fiber_start_for(&c->fibers, fetch_once, t, &t->scope), 0);
}

static bool is_expected(int result)
{
    static const int known[] = {0, -ETIME, -EPIPE, -EBADMSG, -EMSGSIZE, -ELOOP, -E2BIG, -EAGAIN};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (result == known[i]) return true;
    return false;
}

static bool all_done(const struct task *t)
{
    for (int i = 0; i < FETCHES; i++)
        if (!t[i].done) return false;
    return true;
}

static void one_round(struct core *c, struct pool *p, struct upstream *u, unsigned *good)
{
    static struct task t[FETCHES];
    for (int i = 0; i < FETCHES; i++) start(c, p, u, &t[i]);
    for (unsigned turn = 0; !all_done(t); turn++) {
        upstream_step(u);
        core_poll(c);
        unsigned i = (unsigned)random_below(FETCHES);
        if (random_below(20) == 0 || turn > 200) scope_cancel(&t[i].scope, -ETIME);
    }
    for (int i = 0; i < FETCHES; i++) {
        if (!is_expected(t[i].result)) fail_msg("fetch returned %d", t[i].result);
        *good += t[i].result == 0;
        assert_true(list_empty(&t[i].scope.waits));
    }
}

static void cancelled_anywhere(void **state)
{
    struct core *c = *state;
    unsigned fds = files_descriptors(), good = 0;
    struct upstream *u = calloc(1, sizeof *u);
    struct http_stats stats = {0};
    assert_non_null(u);
    upstream_open(u);
    for (int k = 0; k < 4; k++) {
        struct pool pool;
        struct pool_limits limits = {.connections = 2, .waiting = 3, .idle = 20 * NS_PER_MS};
        pool_init(&pool, &c->io, NULL, &stats, &limits);
        for (int i = 0; i < ROUNDS / 4; i++) one_round(c, &pool, u, &good);
        pool_drain(&pool);
        TURN_UNTIL(c, list_empty(&pool.origins) && io_idle(&c->io));
        assert_int_equal(stats.upstream_open, 0);
    }
    assert_true(good > 0 && good < FETCHES * ROUNDS);
    assert_true(stats.upstream_waited && stats.upstream_rejected && stats.upstream_repeated);
    upstream_close(u);
    free(u);
    assert_int_equal(files_descriptors(), fds);
}

/* A keep-alive connection is closed when nobody has used it for a while. */
static void idle_connections_end(void **state)
{
    struct core *c = *state;
    struct upstream *u = calloc(1, sizeof *u);
    struct http_stats stats = {0};
    struct pool pool;
    struct pool_limits limits = {.connections = 2, .waiting = 3, .idle = NS_PER_MS};
    static struct task t;
    assert_non_null(u);
    upstream_open(u);
    pool_init(&pool, &c->io, NULL, &stats, &limits);
    do { /* the upstream does as it likes */
        start(c, &pool, u, &t);
        while (!t.done) {
            upstream_step(u);
            core_poll(c);
        }
    } while (t.result != 0);
    TURN_UNTIL(c, stats.upstream_open == 0);
    assert_true(list_empty(&pool.origins));
    TURN_UNTIL(c, io_idle(&c->io));
    upstream_close(u);
    free(u);
}

/* ---- a server that is gone as the request is sent ---- */

/* The fiber of the request plays the server as well, so that nothing of it is seen before the
 * request is sent. */
struct early {
    struct core *core;
    struct pool *pool;
    struct upstream *u;
    struct fetch fetch;
    int result; /* the status */
    char body[8];
    bool serves, done;
};

static const char fine[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
static const char much[] = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmuch";

static void ask(struct early *e, const char *method, bool streamed)
{
    memset(&e->fetch, 0, sizeof e->fetch);
    e->fetch.pool = e->pool;
    e->fetch.max_head = 1000;
    e->fetch.options = (torc_fetch_options){.method = method,
                                            .url = "http://127.0.0.1/",
                                            .connect_to = e->u->address,
                                            .body = streamed ? (slice){NULL, 0} : SLICE("body"),
                                            .redirects = 1,
                                            .streamed = streamed,
                                            .length = -1};
    e->result = fetch_prepare(&e->fetch);
    if (e->result == 0) e->result = fetch_start(&e->fetch, &e->core->scope);
}

static void receive(struct early *e)
{
    struct scope *scope = &e->core->scope;
    memset(e->body, 0, sizeof e->body);
    if (e->result == 0) e->result = fetch_response(&e->fetch, scope);
    if (e->result > 0) fetch_read(&e->fetch, scope, e->body, sizeof e->body - 1);
    if (e->result > 0) fetch_read(&e->fetch, scope, e->body, sizeof e->body - 1);
    fetch_end(&e->fetch);
}

static int next_visit(const struct upstream *u)
{
    return accept4(u->listener, NULL, NULL, SOCK_CLOEXEC);
}

static void say_and_reset(int fd, const char *text)
{
    struct linger now = {1, 0};
    (void)!write(fd, text, strlen(text));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* Leaves a connection in the pool, and returns the other end. */
static int keep_one(struct early *e)
{
    ask(e, "GET", false);
    int fd = next_visit(e->u);
    (void)!write(fd, fine, strlen(fine));
    receive(e);
    return fd;
}

static void answered_before_its_end(void *arg)
{
    struct early *e = arg;
    ask(e, "POST", true);
    if (e->result == 0) e->result = fetch_write(&e->fetch, &e->core->scope, "piece", 5);
    say_and_reset(next_visit(e->u), much);
    receive(e);
    e->done = true;
}

static void answered_as_it_is_sent(void *arg)
{
    struct early *e = arg;
    say_and_reset(keep_one(e), much);
    e->serves = true;
    ask(e, "PUT", false);
    receive(e);
    e->done = true;
}

static void dead_as_it_is_sent(void *arg)
{
    struct early *e = arg;
    say_and_reset(keep_one(e), "");
    e->serves = true;
    ask(e, "PUT", false);
    receive(e);
    e->done = true;
}

/* It takes no more, and neither answers nor closes: only a Unix socket tells that at once. */
static void refused_as_it_is_sent(void *arg)
{
    struct early *e = arg;
    int fd = keep_one(e);
    shutdown(fd, SHUT_RD);
    e->serves = true;
    ask(e, "PUT", false);
    receive(e);
    close(fd);
    e->done = true;
}

/* The body of the redirect is announced, and does not come, or not all of it. */
static void redirected_without(struct early *e, const char *rest)
{
    char text[200];
    snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: /next\r\n%s", rest);
    ask(e, "GET", false);
    int fd = next_visit(e->u);
    (void)!write(fd, text, strlen(text));
    e->serves = true;
    receive(e);
    close(fd);
    e->done = true;
}

static void redirected_without_body(void *arg)
{
    redirected_without(arg, "Content-Length: 4\r\n\r\n");
}

static void redirected_with_half_a_body(void *arg)
{
    redirected_without(arg, "Content-Length: 4\r\n\r\nol");
}

static void redirected_with_half_a_chunk(void *arg)
{
    redirected_without(arg, "Transfer-Encoding: chunked\r\n\r\n4\r\n");
}

static void redirected_until_the_end(void *arg)
{
    redirected_without(arg, "\r\nold");
}

/* Answers another connection, once that is for the second request. */
static void serve_early(struct early *e)
{
    struct visit *v = e->u->visit;
    if (!e->serves || v->fd >= 0) return;
    v->fd = next_visit(e->u);
    if (v->fd >= 0) (void)!write(v->fd, fine, strlen(fine));
}

static void open_unix(struct upstream *u)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int n = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "test_fetch-%d", (int)getpid());
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    close(u->listener);
    u->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(u->listener, (struct sockaddr *)&un, len), 0);
    assert_int_equal(listen(u->listener, 10), 0);
    snprintf(u->address, sizeof u->address, "unix:@%s", un.sun_path + 1);
}

/* Runs such a request: what comes of it, and how often it was repeated. */
static void expect_early(struct core *c, fiber_fn *fn, bool local, int status, unsigned repeated)
{
    struct upstream *u = calloc(1, sizeof *u);
    struct http_stats stats = {0};
    struct pool pool;
    struct pool_limits limits = {.connections = 2, .waiting = 3, .idle = NS_PER_S};
    struct early e = {.core = c, .pool = &pool, .u = u};
    assert_non_null(u);
    upstream_open(u);
    if (local) open_unix(u);
    pool_init(&pool, &c->io, NULL, &stats, &limits);
    assert_int_equal(core_start(c, fn, &e), 0);
    for (core_guard(c); !e.done; serve_early(&e))
        core_turn(c, "the request is done", __FILE__, __LINE__);
    assert_int_equal(e.result, status);
    assert_string_equal(e.body, status == 200 ? "fine" : "much");
    assert_int_equal(stats.upstream_repeated, repeated);
    pool_drain(&pool);
    TURN_UNTIL(c, list_empty(&pool.origins) && io_idle(&c->io));
    upstream_close(u);
    free(u);
}

/* What refuses the request may be behind a response, which then counts. */
static void an_early_response_counts(void **state)
{
    for (int local = 0; local < 2; local++) {
        expect_early(*state, answered_before_its_end, local, 413, 0);
        expect_early(*state, answered_as_it_is_sent, local, 413, 0);
    }
}

static void a_dead_connection_is_left(void **state)
{
    for (int local = 0; local < 2; local++) expect_early(*state, dead_as_it_is_sent, local, 200, 1);
    expect_early(*state, refused_as_it_is_sent, true, 200, 1);
}

/* Nobody needs the body of a redirect. */
static void no_redirect_is_waited_for(void **state)
{
    static fiber_fn *const all[] = {redirected_without_body, redirected_with_half_a_body,
                                    redirected_with_half_a_chunk, redirected_until_the_end};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) expect_early(*state, all[i], false, 200, 0);
}

/* ---- the pool ---- */

struct taker {
    struct core *core;
    struct pool *pool;
    const char *to;
    struct http_stats *stats;
    int result;
    bool reused, done;
};

static struct pool_conn *take(struct taker *t, bool fresh)
{
    struct pool_conn *c;
    assert_int_equal(pool_take(t->pool, &t->core->scope, t->to, fresh, &c), 0);
    return c;
}

static void take_fresh(void *arg)
{
    struct taker *t = arg;
    struct pool_conn *c = take(t, true);
    t->reused = c->reused;
    pool_give(c, false);
    t->done = true;
}

static void take_and_start_another(void *arg)
{
    struct taker *t = arg;
    pool_give(take(t, false), true);
    struct pool_conn *c = take(t, false);
    assert_true(c->reused);
    assert_int_equal(core_start(t->core, take_fresh, t), 0);
    assert_int_equal(t->stats->upstream_waited, 1);
    pool_give(c, true);
}

/* Who repeats a request gets no used connection from another request either. */
static void a_fresh_one_is_waited_for(void **state)
{
    struct core *c = *state;
    struct upstream *u = calloc(1, sizeof *u);
    struct http_stats stats = {0};
    struct pool pool;
    struct pool_limits limits = {.connections = 1, .waiting = 3, .idle = NS_PER_S};
    assert_non_null(u);
    upstream_open(u);
    pool_init(&pool, &c->io, NULL, &stats, &limits);
    struct taker t = {c, &pool, u->address, &stats, 0, true, false};
    assert_int_equal(core_start(c, take_and_start_another, &t), 0);
    TURN_UNTIL(c, t.done);
    assert_false(t.reused);
    assert_int_equal(stats.upstream_connects, 2);
    assert_int_equal(stats.upstream_open, 0);
    TURN_UNTIL(c, io_idle(&c->io));
    upstream_close(u);
    free(u);
}

static int nobody_answers(struct torc_job *j, const char *name, struct resolved *out)
{
    (void)j, (void)name, (void)out;
    return -EAGAIN;
}

static void take_in_vain(void *arg)
{
    struct taker *t = arg;
    struct pool_conn *c;
    t->result = pool_take(t->pool, &t->core->scope, t->to, false, &c);
    t->done = true;
}

/* Nobody can say where the server is: that is not the error of a request for which there is no room
 * in the queue. */
static void an_unknown_place_is_no_full_queue(void **state)
{
    struct core *c = *state;
    struct http_stats stats = {0};
    struct pool pool;
    struct pool_limits limits = {.connections = 1, .waiting = 3, .idle = NS_PER_S};
    struct resolver names;
    struct offload *threads = offload_new(1, 4);
    assert_non_null(threads);
    resolver_init(&names, &c->io, threads, nobody_answers);
    pool_init(&pool, &c->io, &names, &stats, &limits);
    struct taker t = {.core = c, .pool = &pool, .to = "name:80", .stats = &stats};
    assert_int_equal(core_start(c, take_in_vain, &t), 0);
    TURN_UNTIL(c, t.done);
    assert_int_equal(t.result, -EHOSTUNREACH);
    assert_int_equal(stats.upstream_rejected, 0);
    assert_int_equal(stats.upstream_open, 0);
    assert_true(list_empty(&pool.origins));
    while (!io_close_inbox(&c->io)) core_poll(c);
    resolver_end(&names);
    assert_true(offload_stop(threads, clock_ns() + 30 * NS_PER_S));
    offload_free(threads);
}

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        CORE_CASE(cancelled_anywhere),
        CORE_CASE(idle_connections_end),
        CORE_CASE(an_early_response_counts),
        CORE_CASE(a_dead_connection_is_left),
        CORE_CASE(no_redirect_is_waited_for),
        CORE_CASE(a_fresh_one_is_waited_for),
        CORE_CASE(an_unknown_place_is_no_full_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
