#include "task/background.h"

#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A fiber that has the engine wait for a pipe, sleeps meanwhile, and then finishes the call. */
struct run {
    struct core *core;
    int pipe[2];
    bool needed;
    uint64_t ns;
    int slept, result;
    bool waits, done;
};

static void run_poll(void *arg)
{
    struct run *r = arg;
    struct io_call call = {.poll = {.fd = r->pipe[0], .events = POLLIN}};
    struct background b;
    background_start(&b, &r->core->scope, &call, IO_POLL, r->needed);
    r->slept = scope_sleep(&r->core->scope, r->ns);
    r->waits = true;
    r->result = background_finish(&b);
    r->done = true;
}

static void begin(struct core *c, struct run *r)
{
    r->core = c;
    assert_int_equal(pipe2(r->pipe, O_CLOEXEC), 0);
    assert_int_equal(core_start(c, run_poll, r), 0);
}

static void write_byte(struct run *r)
{
    assert_int_equal(write(r->pipe[1], "x", 1), 1);
}

static void end(struct run *r)
{
    close(r->pipe[0]);
    close(r->pipe[1]);
}

static void poll_often(struct core *c)
{
    for (int i = 0; i < 20; i++) core_poll(c);
}

static void completes_while_the_fiber_sleeps(void **state)
{
    struct core *c = *state;
    struct run r = {.ns = 20 * NS_PER_MS};
    begin(c, &r);
    write_byte(&r);
    TURN_UNTIL(c, r.done);
    assert_int_equal(r.slept, 0);
    assert_int_equal(r.result, POLLIN);
    end(&r);
}

static void is_awaited(void **state)
{
    struct core *c = *state;
    for (int needed = 0; needed < 2; needed++) {
        struct run r = {.ns = 1, .needed = needed};
        begin(c, &r);
        TURN_UNTIL(c, r.waits);
        poll_often(c);
        assert_false(r.done);
        write_byte(&r);
        TURN_UNTIL(c, r.done);
        assert_int_equal(r.result, POLLIN);
        end(&r);
    }
}

/* Cancelled while the fiber sleeps, or while it waits for the call. */
static void is_cancelled_with_its_scope(void **state)
{
    struct core *c = *state;
    struct run asleep = {.ns = WHEEL_NEVER}, waiting = {.ns = 1};
    begin(c, &asleep);
    begin(c, &waiting);
    TURN_UNTIL(c, waiting.waits);
    scope_cancel(&c->scope, -EPIPE);
    TURN_UNTIL(c, asleep.done && waiting.done);
    assert_int_equal(asleep.slept, -EPIPE);
    assert_int_equal(asleep.result, -ECANCELED);
    assert_int_equal(waiting.result, -ECANCELED);
    end(&asleep);
    end(&waiting);
}

static void is_done_in_spite_of_it_if_needed(void **state)
{
    struct core *c = *state;
    struct run asleep = {.ns = WHEEL_NEVER, .needed = true}, waiting = {.ns = 1, .needed = true};
    begin(c, &asleep);
    begin(c, &waiting);
    TURN_UNTIL(c, waiting.waits);
    scope_cancel(&c->scope, -EPIPE);
    TURN_UNTIL(c, asleep.waits);
    poll_often(c);
    assert_false(asleep.done || waiting.done);
    write_byte(&asleep);
    write_byte(&waiting);
    TURN_UNTIL(c, asleep.done && waiting.done);
    assert_int_equal(asleep.result, POLLIN);
    assert_int_equal(waiting.result, POLLIN);
    end(&asleep);
    end(&waiting);
}

struct removal {
    struct core *core;
    const char *path;
    int refused, removed;
    bool done;
};

static void remove_file(void *arg)
{
    struct removal *r = arg;
    struct io_call call = {.unlink = {r->path}};
    r->refused = scope_call(&r->core->scope, &call, IO_UNLINK);
    r->removed = background_call(&r->core->scope, &call, IO_UNLINK);
    r->done = true;
}

static void cleans_up_in_a_cancelled_scope(void **state)
{
    struct core *c = *state;
    char path[] = "/tmp/torc-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct removal r = {.core = c, .path = path};
    scope_cancel(&c->scope, -EPIPE);
    assert_int_equal(core_start(c, remove_file, &r), 0);
    TURN_UNTIL(c, r.done);
    assert_int_equal(r.refused, -EPIPE);
    assert_int_equal(r.removed, 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(background_call(NULL, &(struct io_call){.unlink = {path}}, IO_UNLINK), -EPERM);
}

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        CORE_CASE(completes_while_the_fiber_sleeps), CORE_CASE(is_awaited),
        CORE_CASE(is_cancelled_with_its_scope),      CORE_CASE(is_done_in_spite_of_it_if_needed),
        CORE_CASE(cleans_up_in_a_cancelled_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
