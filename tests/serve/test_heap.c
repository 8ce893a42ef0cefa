/* When the heap is looked at, and what is given back: by a clock and a heap that are made up, and
 * the size that this process has. */

#include "serve/heap.h"

#include "base/clock.h"

#include <stdlib.h>

#ifdef __GLIBC__

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { BURST = 64 << 20, LONGEST = 160 /* seconds between two looks */ };

static uint64_t now = 1000 * NS_PER_S;
static struct heap_share core, other;
static size_t unused, used; /* that mallinfo2 tells */
static size_t freed;        /* while malloc_trim runs */
static uint64_t burn_ns;    /* that it takes of a CPU */
static unsigned n_trimmed;  /* calls of malloc_trim */
static char *to_trim;       /* what it gives back */

static char *grow(void)
{
    char *p = mmap(NULL, BURST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    memset(p, 1, BURST);
    return p;
}

static void shrink(char *p)
{
    assert_int_equal(munmap(p, BURST), 0);
}

struct mallinfo2 __wrap_mallinfo2(void);
int __wrap_malloc_trim(size_t pad);

static uint64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

struct mallinfo2 __wrap_mallinfo2(void)
{
    uint64_t until = cpu_ns() + burn_ns;
    while (burn_ns && cpu_ns() < until) continue;
    return (struct mallinfo2){.fordblks = unused, .uordblks = used};
}

int __wrap_malloc_trim(size_t pad)
{
    (void)pad;
    n_trimmed++;
    unused += freed;
    used -= freed;
    freed = 0;
    if (to_trim) shrink(to_trim);
    to_trim = NULL;
    return 1;
}

/* So many seconds in which the core asks, and somebody else looks. How many looks there were. */
static unsigned pass(unsigned seconds, size_t held)
{
    unsigned n = 0;
    for (unsigned i = 0; i < seconds; i++) {
        now += NS_PER_S;
        if (!heap_is_due(&core, now, held)) continue;
        n++;
        heap_look();
    }
    return n;
}

/* Until the looks are as rare as they become. */
static void calm_down(void)
{
    unused = used = 0;
    burn_ns = 0;
    pass(4 * LONGEST, 0);
    n_trimmed = 0;
}

static void a_process_that_stays_as_it_is_is_left_alone(void **state)
{
    (void)state;
    unused = 0;
    pass(1, 0);
    assert_in_range(pass(LONGEST, 0), 1, 5); /* each pause is twice the one before */
    calm_down();
    assert_int_equal(pass(10 * LONGEST, 0), 10);
}

static void what_a_burst_left_is_given_back_soon(void **state)
{
    (void)state;
    calm_down();
    char *p = grow();
    assert_int_equal(pass(5, 0), 1); /* while it lasts there is nothing to give back */
    assert_int_equal(n_trimmed, 0);
    unused = BURST;
    assert_int_equal(pass(5, 0), 1);
    assert_int_equal(n_trimmed, 1);
    shrink(p);
    pass(LONGEST, 0); /* what is free stays so */
    assert_int_equal(n_trimmed, 1);
}

/* Clients leave while the heap is trimmed. */
static void what_is_freed_meanwhile_is_given_back_later(void **state)
{
    (void)state;
    calm_down();
    char *p = grow(), *q = grow();
    used = freed = BURST;
    unused = BURST;
    assert_int_equal(pass(5, 0), 1);
    assert_int_equal(n_trimmed, 1);
    assert_int_equal(pass(5, 0), 1);
    assert_int_equal(n_trimmed, 2);
    pass(LONGEST, 0);
    assert_int_equal(n_trimmed, 2);
    shrink(p);
    shrink(q);
}

/* What free(3) gives back by itself, and what is still free, are not the same. */
static void what_is_freed_after_a_trim_is_given_back(void **state)
{
    (void)state;
    calm_down();
    char *p = grow(), *q = grow();
    used = unused = BURST;
    to_trim = p;
    assert_int_equal(pass(5, 0), 1);
    assert_int_equal(n_trimmed, 1);
    used = 0;
    unused = BURST / 2;
    assert_int_equal(pass(5, 0), 1);
    assert_int_equal(n_trimmed, 2);
    shrink(q);
}

/* The process has not grown since the last look, which was in the middle. */
static void what_a_long_burst_left_is_given_back_soon(void **state)
{
    (void)state;
    calm_down();
    char *p = grow();
    pass(2 * LONGEST, BURST);
    while (pass(1, BURST) == 0) continue; /* the next would be as late as it may be */
    assert_int_equal(n_trimmed, 0);
    unused = BURST;
    assert_int_equal(pass(6, 0), 1);
    assert_int_equal(n_trimmed, 1);
    shrink(p);
}

/* What one core frees another may need: they hold as much as before. */
static void what_the_cores_hold_is_counted_together(void **state)
{
    (void)state;
    calm_down();
    while (pass(1, 2 * BURST) == 0) continue;
    assert_false(heap_is_due(&core, now, BURST));
    assert_false(heap_is_due(&other, now, BURST));
    assert_int_equal(pass(10, BURST), 0);
    assert_int_equal(pass(5, 0), 1);
    assert_false(heap_is_due(&other, now, 0));
}

static void a_look_that_takes_long_is_rare(void **state)
{
    (void)state;
    calm_down();
    burn_ns = 200 * NS_PER_MS;
    pass(LONGEST, 0);
    while (pass(1, 0) == 0) continue;
    burn_ns = 0;
    char *p = grow();
    assert_int_equal(pass(19, 0), 0);
    pass(LONGEST, 0); /* a slow machine may take more of a CPU for it */
    shrink(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_stays_as_it_is_is_left_alone),
        cmocka_unit_test(what_a_burst_left_is_given_back_soon),
        cmocka_unit_test(what_is_freed_meanwhile_is_given_back_later),
        cmocka_unit_test(what_is_freed_after_a_trim_is_given_back),
        cmocka_unit_test(what_a_long_burst_left_is_given_back_soon),
        cmocka_unit_test(what_the_cores_hold_is_counted_together),
        cmocka_unit_test(a_look_that_takes_long_is_rare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

/* There is no such heap, and no test of it is built. */
int main(void)
{
    return 77;
}

#endif
