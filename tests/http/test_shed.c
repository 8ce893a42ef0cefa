/* Load shedding, on a model of a core in virtual time: it looks at its sockets, runs what has come
 * one after the other, and sends the responses at the end of the turn. */

#include "http/shed.h"

#include "../base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define REJECT (15 * NS_PER_MS / 1000) /* what a request costs that is shed */
#define SEND   (10 * NS_PER_MS / 1000) /* and to send a response */

enum { MOST = 200000, PHASES = 3 };

/* Requests of a rate that come for a time. */
struct phase {
    double load; /* of what the core can do */
    double seconds;
    uint64_t came, shed, answered;
    uint64_t latency[MOST]; /* of those that were answered, in ns */
};

static struct phase phases[PHASES];
static struct {
    struct shed shed;
    uint64_t now, service; /* ns */
    uint64_t arrival[MOST];
    unsigned phase_of[MOST];
    unsigned n, next;
} core;
static long sleeps;

static long count_sleeps(void)
{
    return sleeps;
}

static void phase(unsigned i, double load, double seconds)
{
    phases[i].load = load;
    phases[i].seconds = seconds;
}

/* Poisson arrivals. */
static void arrive(unsigned n_phases, uint64_t service)
{
    random_state = 7;
    double at = 0, end = 0;
    core.n = core.next = 0;
    for (unsigned i = 0; i < n_phases; i++) {
        phases[i].came = phases[i].shed = phases[i].answered = 0;
        end += phases[i].seconds * (double)NS_PER_S;
        double gap = (double)(service + SEND) / phases[i].load;
        while (at < end && core.n < MOST) {
            core.arrival[core.n] = (uint64_t)at;
            core.phase_of[core.n++] = i;
            phases[i].came++;
            at -= log(1 - (double)random_below(1 << 30) / (1 << 30)) * gap;
        }
        assert_true(core.n < MOST);
    }
}

static void turn(void)
{
    static unsigned answered[MOST];
    unsigned n = 0;
    uint64_t looked;
    if (core.arrival[core.next] > core.now) {
        sleeps++;
        core.now = core.arrival[core.next];
    }
    looked = core.now;
    shed_begin_turn(&core.shed, looked);
    for (; core.next < core.n && core.arrival[core.next] <= looked; core.next++) {
        bool shed = shed_request(&core.shed, core.now, false);
        core.now += shed ? REJECT : core.service;
        if (shed)
            phases[core.phase_of[core.next]].shed++;
        else
            answered[n++] = core.next;
    }
    shed_end_turn(&core.shed, looked, core.now);
    core.now += n * SEND;
    for (unsigned i = 0; i < n; i++) {
        struct phase *p = &phases[core.phase_of[answered[i]]];
        p->latency[p->answered++] = core.now - core.arrival[answered[i]];
    }
}

static void run(unsigned n_phases, uint64_t service)
{
    arrive(n_phases, service);
    core.now = 0;
    core.service = service;
    shed_init(&core.shed, 0);
    core.shed.sleeps = count_sleeps;
    while (core.next < core.n) turn();
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* In requests that run one after the other. */
static double p99(struct phase *p)
{
    qsort(p->latency, p->answered, sizeof *p->latency, compare);
    return (double)p->latency[p->answered * 99 / 100] / (double)core.service;
}

static double goodput(const struct phase *p)
{
    double most = p->seconds * (double)NS_PER_S / (double)(core.service + SEND);
    return (double)p->answered / most;
}

static const uint64_t services[] = {NS_PER_MS, 5 * NS_PER_MS, 50 * NS_PER_MS};

static void test_overload_sheds_the_rest(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        for (double load = 2; load <= 3; load++) {
            phase(0, load, 10); /* it finds out, and learns what a request takes */
            phase(1, load, 50);
            run(2, services[i]);
            assert_true(goodput(&phases[1]) >= 0.9);
            assert_true(p99(&phases[1]) <= 3.5);
        }
    }
}

static void test_it_recovers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        phase(0, 3, 10);
        phase(1, 0.3, 5);
        phase(2, 0.3, 30);
        run(3, services[i]);
        assert_true(phases[0].shed > 0);
        assert_true(phases[2].shed == 0);
        assert_false(core.shed.active);
    }
}

static void test_light_load_is_never_shed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        phase(0, 0.3, 60);
        run(1, services[i]);
        assert_true(phases[0].shed == 0);
    }
}

/* A burst that the core gets done within an interval is none of overload. */
static void test_burst_is_served(void **state)
{
    (void)state;
    shed_init(&core.shed, 0);
    core.shed.sleeps = count_sleeps;
    uint64_t now = NS_PER_S;
    for (int round = 0; round < 100; round++) {
        sleeps++;
        shed_begin_turn(&core.shed, now);
        for (int i = 0; i < 8; i++) {
            assert_false(shed_request(&core.shed, now + (uint64_t)i * NS_PER_MS, false));
        }
        shed_end_turn(&core.shed, now, now + 8 * NS_PER_MS);
        now += 40 * NS_PER_MS;
    }
}

/* A core that never sleeps, with more in each turn than it can do in time. */
static uint64_t busy_turn(uint64_t now, unsigned requests, unsigned *shed, bool exempt)
{
    uint64_t looked = now;
    shed_begin_turn(&core.shed, looked);
    for (unsigned i = 0; i < requests; i++) {
        if (shed_request(&core.shed, now, exempt))
            ++*shed;
        else
            now += 5 * NS_PER_MS;
    }
    shed_end_turn(&core.shed, looked, now);
    return now;
}

static void test_first_of_a_turn_and_exempt(void **state)
{
    (void)state;
    unsigned shed = 0;
    uint64_t now = NS_PER_S;
    shed_init(&core.shed, now);
    core.shed.sleeps = count_sleeps;
    for (int i = 0; i < 20; i++) now = busy_turn(now, 30, &shed, false);
    assert_true(core.shed.active && shed > 0);
    shed = 0;
    for (int i = 0; i < 20; i++) now = busy_turn(now, 1, &shed, false);
    assert_int_equal(shed, 0);
    for (int i = 0; i < 20; i++) now = busy_turn(now, 30, &shed, true);
    assert_int_equal(shed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overload_sheds_the_rest),    cmocka_unit_test(test_it_recovers),
        cmocka_unit_test(test_light_load_is_never_shed),   cmocka_unit_test(test_burst_is_served),
        cmocka_unit_test(test_first_of_a_turn_and_exempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
