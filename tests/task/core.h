#pragma once
/* A core without HTTP: an engine, fibers and a scope; a timer fails a test that hangs. */

#include "task/scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct core {
    struct io io;
    struct fiber_pool fibers;
    struct scope scope;
    struct wheel_timer guard;
    bool stalled;
};

/* argv: an engine. Exits with 77 (skipped) if the kernel refuses it. */
void core_choose(int argc, char **argv);

bool core_is(const char *engine);

/* `max` is the limit of fibers. */
void core_open(struct core *c, uint32_t max);

/* Checks that nothing is in flight, no timer is armed and every fiber has returned. */
void core_close(struct core *c);

/* For cmocka: *state is a struct core with a limit of 100 fibers. */
int core_set_up(void **state);
int core_tear_down(void **state);

/* Starts a fiber in the core's scope. */
int core_start(struct core *c, fiber_fn *fn, void *arg);

/* From now on, nothing may hang for longer than half a minute. */
void core_guard(struct core *c);

/* One turn that waits for an event. */
void core_turn(struct core *c, const char *what, const char *file, int line);

/* One turn that does not wait. */
void core_poll(struct core *c);

#define TURN_UNTIL(c, cond)                                                                        \
    do {                                                                                           \
        core_guard(c);                                                                             \
        while (!(cond)) core_turn(c, #cond, __FILE__, __LINE__);                                   \
    } while (0)

#define CORE_CASE(name) cmocka_unit_test_setup_teardown(name, core_set_up, core_tear_down)
