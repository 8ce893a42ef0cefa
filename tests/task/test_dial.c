#include "task/dial.h"

#include "core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The addresses that any name has. */
static const char *const *addresses;

static int answer(struct torc_job *j, const char *name, struct resolved *out)
{
    (void)j, (void)name;
    out->count = 0;
    out->ttl = 60;
    for (const char *const *text = addresses; *text; text++) {
        struct sock_addr *a = &out->addr[out->count++];
        *a = (struct sock_addr){.len = sizeof a->in};
        a->in.sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, *text, &a->in.sin_addr), 1);
    }
    return 0;
}

struct rig {
    struct core core;
    struct offload *pool;
    struct resolver resolver;
};

static int set_up(void **state)
{
    struct rig *r = malloc(sizeof *r);
    if (!r) return -1;
    core_open(&r->core, 100);
    r->pool = offload_new(1, 10);
    resolver_init(&r->resolver, &r->core.io, r->pool, answer);
    *state = r;
    return r->pool ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    while (!io_close_inbox(&r->core.io)) core_poll(&r->core);
    resolver_end(&r->resolver);
    assert_true(offload_stop(r->pool, clock_ns() + 30 * NS_PER_S));
    offload_free(r->pool);
    core_close(&r->core);
    free(r);
    return 0;
}

/* ---- servers ---- */

/* At this address; any port if *port is 0. -1 if the port is taken there. */
static int listen_at(const char *address, uint16_t *port, int backlog)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, backlog) < 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

/* One whose queue is full, so that it answers nobody, and at the same port one that does. */
struct servers {
    int silent, queued, open;
    uint16_t port;
};

/* A queue for none has room for one (listen(2)). */
static void fill(struct servers *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    inet_pton(AF_INET, "127.0.0.2", &a.sin_addr);
    s->queued = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(s->queued, (struct sockaddr *)&a, sizeof a), 0);
}

static void servers_open(struct servers *s)
{
    for (int tries = 0; tries < 100; tries++) {
        s->port = 0;
        s->silent = listen_at("127.0.0.2", &s->port, 0);
        assert_true(s->silent >= 0);
        s->open = listen_at("127.0.0.1", &s->port, 8);
        if (s->open >= 0) break;
        close(s->silent);
    }
    assert_true(s->open >= 0);
    fill(s);
}

static void servers_close(struct servers *s)
{
    close(s->queued);
    close(s->silent);
    if (s->open >= 0) close(s->open);
}

/* ---- fibers that dial ---- */

static const char *const silent_first[] = {"127.0.0.2", "127.0.0.1", NULL};

struct caller {
    struct rig *rig;
    char to[32];
    struct stream *stream;
    int result;
    bool done;
};

static void call(void *arg)
{
    struct caller *c = arg;
    c->result = dial(&c->rig->core.scope, &c->rig->resolver, c->to, &c->stream);
    c->done = true;
}

/* The silent one comes first. */
static void begin(struct rig *r, struct caller *c, uint16_t port)
{
    *c = (struct caller){.rig = r};
    snprintf(c->to, sizeof c->to, "name:%u", port);
    addresses = silent_first;
    assert_int_equal(fiber_start(&r->core.fibers, call, c), 0);
}

static void expect_result(struct rig *r, struct caller *c, int result)
{
    TURN_UNTIL(&r->core, c->done);
    assert_int_equal(c->result, result);
}

static void hang_up(struct rig *r, struct caller *c)
{
    stream_close(c->stream);
    TURN_UNTIL(&r->core, r->core.io.in_flight == 0);
}

/* ---- */

static void a_silent_address_gives_way(void **state)
{
    struct rig *r = *state;
    struct servers s;
    struct caller c;
    servers_open(&s);
    begin(r, &c, s.port);
    expect_result(r, &c, 0);
    hang_up(r, &c);
    servers_close(&s);
}

/* The other refuses meanwhile; the silent one has room again. */
static void a_silent_address_is_tried_again(void **state)
{
    struct rig *r = *state;
    struct servers s;
    struct caller c;
    servers_open(&s);
    close(s.open);
    s.open = -1;
    begin(r, &c, s.port);
    for (int i = 0; i < 50; i++) {
        core_poll(&r->core);
        usleep(10 * 1000);
    }
    assert_false(c.done);
    close(accept4(s.silent, NULL, NULL, SOCK_CLOEXEC));
    expect_result(r, &c, 0);
    hang_up(r, &c);
    servers_close(&s);
}

static void what_cancels_the_scope_ends_it(void **state)
{
    struct rig *r = *state;
    struct servers s;
    struct caller c;
    servers_open(&s);
    begin(r, &c, s.port);
    core_poll(&r->core);
    scope_cancel(&r->core.scope, -ECONNRESET);
    expect_result(r, &c, -ECONNRESET);
    servers_close(&s);
}

struct spoiler {
    struct io_task task;
    struct core *core;
};

/* Its tasks run before those that the turn adds. */
static void cancel_once_it_gives_way(struct io_task *t)
{
    struct core *core = container_of(t, struct spoiler, task)->core;
    struct list *child = core->scope.children.next;
    bool given = child != &core->scope.children &&
                 container_of(child, struct scope, sibling)->cancelled == -ETIME;
    if (given)
        scope_cancel(&core->scope, -ECONNRESET);
    else
        io_defer(&core->io, t);
}

static void what_cancels_the_scope_as_it_gives_way_ends_it(void **state)
{
    struct rig *r = *state;
    struct servers s;
    struct caller c;
    struct spoiler spoiler = {.task.fn = cancel_once_it_gives_way, .core = &r->core};
    servers_open(&s);
    begin(r, &c, s.port);
    io_defer(&r->core.io, &spoiler.task);
    expect_result(r, &c, -ECONNRESET);
    servers_close(&s);
}

static void without_a_server_it_is_refused(void **state)
{
    struct rig *r = *state;
    struct caller c;
    uint16_t port = 0;
    close(listen_at("127.0.0.1", &port, 1));
    begin(r, &c, port);
    expect_result(r, &c, -ECONNREFUSED);
}

#define DIAL_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        DIAL_CASE(a_silent_address_gives_way),
        DIAL_CASE(a_silent_address_is_tried_again),
        DIAL_CASE(what_cancels_the_scope_ends_it),
        DIAL_CASE(what_cancels_the_scope_as_it_gives_way_ends_it),
        DIAL_CASE(without_a_server_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
