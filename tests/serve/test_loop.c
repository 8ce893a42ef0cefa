/* What a loop tells its owner, and in which order, on each engine. */

#include "serve/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A letter for each, as they come: states are O and D. */
static char calls[16];
static size_t n_calls;
static bool commanded; /* of the loop's thread */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void note(char c)
{
    pthread_mutex_lock(&mutex);
    if (n_calls < sizeof calls - 1) calls[n_calls++] = c;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void await(char c)
{
    pthread_mutex_lock(&mutex);
    while (!strchr(calls, c)) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void on_start(struct loop *l)
{
    (void)l;
    note('s');
}

static void on_command(struct loop *l, enum loop_command command)
{
    (void)l;
    note(command == LOOP_DRAIN ? 'c' : '?');
    commanded = true;
}

static void on_turn_end(struct loop *l, uint64_t now)
{
    (void)l;
    (void)now;
}

static bool is_finished(const struct loop *l)
{
    (void)l;
    return commanded;
}

static void on_end(struct loop *l)
{
    (void)l;
    note('e');
}

static void on_state(struct loop *l, enum loop_state state)
{
    (void)l;
    note(state == LOOP_OPEN ? 'O' : state == LOOP_DONE ? 'D' : '?');
}

static const struct loop_owner owner = {
    .start = on_start,
    .command = on_command,
    .turn_end = on_turn_end,
    .finished = is_finished,
    .end = on_end,
    .state = on_state,
};

static void run_on(const struct io_engine *engine)
{
    char why[256];
    static struct loop l; /* aligned, which a stack of the address sanitizer is not */
    l = (struct loop){
        .owner = &owner,
        .engine = engine,
        .config = {.depth = 8, .buffers = 4, .buffer_size = 4096, .max_sockets = 8},
        .name = "loop",
    };
    if (io_probe(engine, &l.config, why, sizeof why) < 0) {
        print_message("%s\n", why);
        return;
    }
    memset(calls, 0, sizeof calls);
    n_calls = 0;
    commanded = false;
    assert_int_equal(loop_prepare(&l), 0);
    assert_int_equal(loop_start(&l), 0);
    await('s');
    loop_command(&l, LOOP_DRAIN);
    loop_join(&l);
    /* Whoever sees that it is done may free what its owner's end still uses. */
    assert_string_equal(calls, "OsceD");
}

static void an_owner_ends_before_the_loop_is_done(void **state)
{
    (void)state;
    for (const struct io_engine *const *e = io_engines; *e; e++) run_on(*e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_ends_before_the_loop_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
