#include "burn.h"

#include "params.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BURN_MAX = 1000000 }; /* ns */

const char *burn_option;

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* A turn takes the same time each time, and touches no memory. Not inlined: every copy has its own
 * speed. */
__attribute__((noinline)) static void spin(int64_t turns)
{
    while (turns-- > 0) __asm__ volatile("");
}

static int ascending(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

/* What a call takes in ns, in the middle of several tries: the fastest would be of a moment at
 * which the CPU ran faster than it does for requests. */
static double spin_ns(int64_t turns)
{
    enum { CALLS = 100, TRIES = 101 };
    int64_t took[TRIES];
    for (int i = 0; i < TRIES; i++) {
        int64_t start = now_ns();
        for (int k = 0; k < CALLS; k++) spin(turns);
        took[i] = now_ns() - start;
    }
    qsort(took, TRIES, sizeof took[0], ascending);
    return (double)took[TRIES / 2] / CALLS;
}

/* The turns of a call that takes so many ns, from what a short and a long one take. */
static int64_t turns_for(int64_t ns)
{
    enum { SHORT = 100, LONG = 1100 };
    double little = spin_ns(SHORT), turn = (spin_ns(LONG) - little) / (LONG - SHORT);
    return turn > 0 ? SHORT + (int64_t)(((double)ns - little) / turn) : 0;
}

/* The clock is not read for it: where that takes 50 ns and waits for all that is under way, 150 ns
 * became 500. */
__attribute__((noinline, cold)) bool burn(torc_req *rq)
{
    static _Thread_local int64_t turns = -1;
    if (turns < 0) {
        int64_t ns;
        torc_slice text = {burn_option, strlen(burn_option)};
        if (!param_number(rq, TORC_S("--burn-ns"), text, 0, BURN_MAX, &ns)) return false;
        turns = ns ? turns_for(ns) : 0;
        if (turns < 0) turns = 0; /* less than a call takes */
    }
    spin(turns);
    return true;
}
