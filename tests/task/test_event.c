#include "task/event.h"

#include "core.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A fiber that waits until it has seen `until` signals, as a client would that reads what is new.
 */
struct reader {
    struct core *core;
    struct event *event;
    uint64_t seen, until;
    unsigned wakes;
    int result;
    bool done;
};

static void read_until(void *arg)
{
    struct reader *r = arg;
    struct event_waiter w;
    while (r->result == 0 && r->seen < r->until) {
        r->result = event_wait(scope_running(&r->core->fibers), r->event, &r->seen, &w);
        r->wakes++;
    }
    r->done = true;
}

static void start_reader(struct core *c, struct reader *r, struct event *e, uint64_t until)
{
    *r = (struct reader){.core = c, .event = e, .until = until};
    assert_int_equal(core_start(c, read_until, r), 0);
}

static struct event *new_event(void)
{
    struct event *e = event_new();
    assert_non_null(e);
    return e;
}

/* ---- on one core ---- */

static void a_signal_before_the_wait_counts(void **state)
{
    struct core *c = *state;
    struct event *e = new_event();
    struct reader r;
    event_signal(e);
    event_signal(e);
    start_reader(c, &r, e, 1);
    assert_true(r.done);
    assert_int_equal(r.seen, 2);
    assert_int_equal(r.wakes, 1);
    event_free(e);
}

static void signals_end_waits_and_are_merged(void **state)
{
    struct core *c = *state;
    struct event *e = new_event();
    struct reader r[50];
    for (int i = 0; i < 50; i++) start_reader(c, &r[i], e, 3);
    core_poll(c);
    for (int i = 0; i < 50; i++) assert_int_equal(r[i].wakes, 0);
    event_signal(e);
    event_signal(e);
    for (int i = 0; i < 50; i++) TURN_UNTIL(c, r[i].seen == 2);
    for (int i = 0; i < 50; i++) assert_false(r[i].done);
    event_signal(e);
    for (int i = 0; i < 50; i++) {
        TURN_UNTIL(c, r[i].done);
        assert_int_equal(r[i].result, 0);
        assert_int_equal(r[i].wakes, 2);
    }
    assert_int_equal(event_count(e), 3);
    event_free(e);
}

/* More than are woken at once. */
static void a_crowd_is_woken(void **state)
{
    struct core *c = *state;
    struct event *e = new_event();
    enum { CROWD = 1000 };
    struct reader *r = calloc(CROWD, sizeof *r);
    assert_non_null(r);
    c->fibers.max = CROWD;
    for (int i = 0; i < CROWD; i++) start_reader(c, &r[i], e, 2);
    event_signal(e);
    for (int i = 0; i < CROWD; i++) TURN_UNTIL(c, r[i].seen == 1);
    event_signal(e);
    for (int i = 0; i < CROWD; i++) TURN_UNTIL(c, r[i].done);
    free(r);
    event_free(e);
}

static void a_cancelled_wait_leaves(void **state)
{
    struct core *c = *state;
    struct event *e = new_event();
    struct reader r[3];
    for (int i = 0; i < 3; i++) start_reader(c, &r[i], e, 1);
    scope_cancel(&c->scope, -ESHUTDOWN);
    for (int i = 0; i < 3; i++) {
        TURN_UNTIL(c, r[i].done);
        assert_int_equal(r[i].result, -ESHUTDOWN);
        assert_int_equal(r[i].seen, 0);
    }
    event_signal(e);
    core_poll(c);
    event_free(e);
}

/* The event's memory is there until the last of those that waited has left it. */
static void freeing_ends_waits(void **state)
{
    struct core *c = *state;
    struct event *e = new_event();
    struct reader r[3];
    for (int i = 0; i < 3; i++) start_reader(c, &r[i], e, 1);
    event_free(e);
    for (int i = 0; i < 3; i++) {
        TURN_UNTIL(c, r[i].done);
        assert_int_equal(r[i].result, -EIDRM);
    }
    core_poll(c);
    event_free(NULL);
}

static void only_fibers_wait(void **state)
{
    struct core *c = *state;
    struct event *e = new_event();
    struct event_waiter w;
    uint64_t seen = 0;
    assert_int_equal(event_wait(NULL, e, &seen, &w), -EPERM);
    assert_int_equal(event_wait(&c->scope, e, &seen, &w), -EPERM);
    event_free(e);
}

/* ---- between threads ---- */

enum { CORES = 2, READERS = 20, SIGNALLERS = 2, SIGNALS = 5000 };

static struct event *shared;
static pthread_barrier_t all;

static void *serve_readers(void *arg)
{
    struct core *c = malloc(sizeof *c);
    struct reader r[READERS];
    assert_non_null(c);
    core_open(c, READERS);
    for (int i = 0; i < READERS; i++) start_reader(c, &r[i], shared, SIGNALLERS * SIGNALS);
    pthread_barrier_wait(&all);
    for (int i = 0; i < READERS; i++) TURN_UNTIL(c, r[i].done);
    for (int i = 0; i < READERS; i++)
        if (r[i].result != 0 || r[i].seen != SIGNALLERS * SIGNALS) arg = c;
    core_close(c);
    free(c);
    return arg;
}

static void *signal_many(void *arg)
{
    pthread_barrier_wait(&all);
    for (int i = 0; i < SIGNALS; i++) event_signal(shared);
    return arg;
}

/* Every reader sees the last signal, whichever thread it came from. */
static void no_signal_is_lost(void **state)
{
    (void)state;
    pthread_t cores[CORES], signallers[SIGNALLERS];
    void *failed;
    shared = new_event();
    pthread_barrier_init(&all, NULL, CORES + SIGNALLERS);
    for (int i = 0; i < CORES; i++)
        assert_int_equal(pthread_create(&cores[i], NULL, serve_readers, NULL), 0);
    for (int i = 0; i < SIGNALLERS; i++)
        assert_int_equal(pthread_create(&signallers[i], NULL, signal_many, NULL), 0);
    for (int i = 0; i < SIGNALLERS; i++) pthread_join(signallers[i], NULL);
    for (int i = 0; i < CORES; i++) {
        pthread_join(cores[i], &failed);
        assert_null(failed);
    }
    pthread_barrier_destroy(&all);
    event_free(shared);
}

/* Each answers the other's signal by one of its own, so that a lost one stops both. */
struct player {
    struct event *own, *other;
    bool first;
};

enum { ROUNDS = 2000 };

static void *play(void *arg)
{
    struct player *p = arg;
    struct core *c = malloc(sizeof *c);
    struct reader r;
    assert_non_null(c);
    core_open(c, 2);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        if (p->first) event_signal(p->other);
        start_reader(c, &r, p->own, i);
        TURN_UNTIL(c, r.done);
        if (!p->first) event_signal(p->other);
    }
    core_close(c);
    free(c);
    return NULL;
}

static void signals_in_turn(void **state)
{
    (void)state;
    pthread_t t[2];
    struct event *e[2] = {new_event(), new_event()};
    struct player p[2] = {{e[0], e[1], true}, {e[1], e[0], false}};
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, play, &p[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(event_count(e[i]), ROUNDS);
        event_free(e[i]);
    }
}

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        CORE_CASE(a_signal_before_the_wait_counts),
        CORE_CASE(signals_end_waits_and_are_merged),
        CORE_CASE(a_crowd_is_woken),
        CORE_CASE(a_cancelled_wait_leaves),
        CORE_CASE(freeing_ends_waits),
        CORE_CASE(only_fibers_wait),
        cmocka_unit_test(no_signal_is_lost),
        cmocka_unit_test(signals_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
