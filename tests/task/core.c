#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK = 64 * 1024, GUARD_SECONDS = 30 };

static const struct io_engine *engine;

/* Small, but with every feature of the engine. */
static struct io_config config = {
    .depth = 16,
    .buffers = 8,
    .buffer_size = 1024,
    .max_sockets = 16,
    .iowq_bounded = 2,
    .iowq_unbounded = 2,
    .features = (1u << IO_FEATURES) - 1,
};

void core_choose(int argc, char **argv)
{
    char why[256];
    engine = argc > 1 ? io_engine_find(argv[1]) : NULL;
    if (!engine) {
        fprintf(stderr, "%s: no such engine: %s\n", argv[0], argc > 1 ? argv[1] : "");
        exit(2);
    }
    if (io_probe(engine, &config, why, sizeof why) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], why);
        exit(77);
    }
}

bool core_is(const char *name)
{
    return strcmp(io_engine_name(engine), name) == 0;
}

static void on_guard(struct wheel_timer *t)
{
    container_of(t, struct core, guard)->stalled = true;
}

void core_open(struct core *c, uint32_t max)
{
    memset(c, 0, sizeof *c);
    int err = io_open(&c->io, engine, &config);
    if (err < 0) fail_msg("io_open: %s", strerror(-err));
    fiber_pool_init(&c->fibers, STACK, max);
    scope_init(&c->scope, &c->io, &c->fibers, c);
    wheel_timer_init(&c->guard, on_guard);
    core_guard(c);
}

void core_guard(struct core *c)
{
    wheel_set(&c->io.wheel, &c->guard, clock_ns() + GUARD_SECONDS * NS_PER_S);
}

void core_close(struct core *c)
{
    wheel_clear(&c->io.wheel, &c->guard);
    while (!io_close_inbox(&c->io)) core_poll(c);
    assert_true(list_empty(&c->scope.waits));
    assert_int_equal(c->io.wheel.armed, 0);
    assert_int_equal(c->io.in_flight, 0);
    fiber_pool_drain(&c->fibers);
    io_close(&c->io);
}

int core_set_up(void **state)
{
    struct core *c = malloc(sizeof *c);
    if (!c) return -1;
    core_open(c, 100);
    *state = c;
    return 0;
}

int core_tear_down(void **state)
{
    core_close(*state);
    free(*state);
    return 0;
}

int core_start(struct core *c, fiber_fn *fn, void *arg)
{
    return fiber_start_for(&c->fibers, fn, arg, &c->scope);
}

void core_turn(struct core *c, const char *what, const char *file, int line)
{
    if (c->stalled) fail_msg("%s:%d: never came true: %s", file, line, what);
    io_turn(&c->io);
}

static void nothing(struct io_task *t)
{
    (void)t;
}

void core_poll(struct core *c)
{
    struct io_task task = {.fn = nothing};
    io_defer(&c->io, &task);
    io_turn(&c->io);
    assert_false(task.queued);
}
