#include "task/fiber.h"
#include "task/stack.h"

#include "child.h"
#include "registers.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#ifdef TORC_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#ifdef FIBER_TSAN
#define THREAD_SANITIZER 1
#else
#define THREAD_SANITIZER 0
#endif

enum { STACK = 64 * 1024, MAX = 4096 };

static struct fiber_pool pool;

static int set_up(void **state)
{
    (void)state;
    fiber_pool_init(&pool, STACK, MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fiber_pool_drain(&pool);
    return 0;
}

/* ---- registers ---- */

static void fill(uint64_t values[REGISTERS], uint64_t seed)
{
    for (uint64_t i = 0; i < REGISTERS; i++) values[i] = seed * 0x0101010101010101u + i;
}

static void check(const uint64_t values[REGISTERS], uint64_t seed)
{
    uint64_t want[REGISTERS];
    fill(want, seed);
    assert_memory_equal(values, want, sizeof want);
}

static void park(void *arg)
{
    (void)arg;
    fiber_park(&pool);
}

struct holder {
    struct fiber *self;
    uint64_t seed;
};

static void hold_registers(void *arg)
{
    struct holder *h = arg;
    uint64_t values[REGISTERS];
    h->self = fiber_self(&pool);
    for (int i = 0; i < 3; i++) {
        fill(values, h->seed + (uint64_t)i);
        with_registers(park, NULL, values);
        check(values, h->seed + (uint64_t)i);
    }
}

static void start_holder(void *arg)
{
    assert_int_equal(fiber_start(&pool, hold_registers, arg), 0);
}

static void resume_holder(void *arg)
{
    fiber_resume(&pool, ((struct holder *)arg)->self);
}

/* Each side holds values of its own in the registers at every switch, in both directions. */
static void registers_survive(void **state)
{
    (void)state;
    struct holder h[2] = {{NULL, 0x10}, {NULL, 0x20}};
    uint64_t values[REGISTERS];
    for (uint64_t round = 0; round < 4; round++)
        for (uint64_t i = 0; i < 2; i++) {
            fill(values, 0x80 + round + i);
            with_registers(round == 0 ? start_holder : resume_holder, &h[i], values);
            check(values, 0x80 + round + i);
        }
    assert_int_equal(pool.in_use, 0);
}

struct sum {
    struct fiber *self;
    double x;
    double result;
    long double long_result;
};

static void compute(void *arg)
{
    struct sum *s = arg;
    double a = s->x, b = 1 / s->x, c = s->x * s->x, d = sqrt(s->x);
    long double e = a * b, f = (long double)1 / 3;
    s->self = fiber_self(&pool);
    for (int i = 0; i < 8; i++) {
        fiber_park(&pool);
        a += b, b += c, c *= d, d += a;
        e = e * f + s->x;
        f += 1;
    }
    s->result = a + b + c + d;
    s->long_result = e + f;
}

static void floating_point_survives(void **state)
{
    (void)state;
    struct sum alone[4], mixed[4];
    for (int i = 0; i < 4; i++) {
        alone[i] = mixed[i] = (struct sum){.x = 1.5 + i};
        assert_int_equal(fiber_start(&pool, compute, &alone[i]), 0);
        for (int n = 0; n < 8; n++) fiber_resume(&pool, alone[i].self);
    }
    for (int i = 0; i < 4; i++) assert_int_equal(fiber_start(&pool, compute, &mixed[i]), 0);
    for (int n = 0; n < 8; n++)
        for (int i = 0; i < 4; i++) fiber_resume(&pool, mixed[i].self);
    for (int i = 0; i < 4; i++) {
        assert_true(alone[i].result > 0 && alone[i].result == mixed[i].result);
        assert_true(alone[i].long_result > 0 && alone[i].long_result == mixed[i].long_result);
    }
}

/* ---- alignment ---- */

typedef double vector __attribute__((vector_size(16)));

__attribute__((noinline)) static void use_vectors(vector *a, const vector *b)
{
    *a = *a * *b + *b;
}

static bool is_multiple(const void *at, uintptr_t of)
{
    __asm__("" : "+r"(at)); /* otherwise the compiler answers from what it may assume */
    return (uintptr_t)at % of == 0;
}

__attribute__((noinline)) static bool aligned_line(void)
{
    _Alignas(64) char line[64] = {0};
    return is_multiple(line, 64);
}

static void aligned_locals(void *arg)
{
    vector a = {1.5, 2.5}, b = {3, 4};
    char text[64];
    use_vectors(&a, &b);
    /* A frame is aligned only if the caller's stack was (AMD64 ABI, 3.2.2; AAPCS64, 6.4.5). */
    bool aligned =
        is_multiple(__builtin_frame_address(0), 16) && is_multiple(&a, 16) && is_multiple(&b, 16);
    snprintf(text, sizeof text, "%.2f %.2Lf", a[0] + a[1], (long double)b[1]);
    *(bool *)arg = aligned && strcmp(text, "21.50 4.00") == 0;
}

static void aligned_throughout(void *arg)
{
    bool inner = false;
    aligned_locals(arg);
    assert_int_equal(fiber_start(&pool, aligned_locals, &inner), 0);
    *(bool *)arg &= inner && aligned_line();
}

static void stacks_are_aligned(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        bool ok = false;
        assert_int_equal(fiber_start(&pool, aligned_throughout, &ok), 0);
        assert_true(ok);
    }
}

/* ---- size ---- */

static void touch(size_t size)
{
    volatile char *deep = __builtin_alloca(size);
    for (size_t i = 0; i < size; i += 64) deep[i] = (char)i;
    deep[size - 1] = 1;
}

struct touch {
    size_t size;
    struct fiber *self;
};

static void touch_all(void *arg)
{
    struct touch *t = arg;
    touch(t->size - 2048);
    t->self = fiber_self(&pool);
    fiber_park(&pool);
}

/* Wherever the top of a stack lies, the full size is usable below it. */
static void the_whole_stack_is_usable(void **state)
{
    (void)state;
    static const size_t sizes[] = {16 * 1024, 40000, STACK};
    for (size_t s = 0; s < 3; s++) {
        struct touch t[70];
        fiber_pool_init(&pool, sizes[s], MAX);
        for (int i = 0; i < 70; i++) {
            t[i] = (struct touch){.size = sizes[s]};
            assert_int_equal(fiber_start(&pool, touch_all, &t[i]), 0);
        }
        for (int i = 0; i < 70; i++) fiber_resume(&pool, t[i].self);
        fiber_pool_drain(&pool);
    }
}

/* ---- the guard ---- */

/* Recurses beyond the end of the stack with frames of which one byte is touched; returns if it
 * can. */
__attribute__((noinline)) static int recurse(size_t frame, size_t depth)
{
    volatile char *room = __builtin_alloca(frame);
    room[0] = 1;
    return depth < 2 * STACK ? recurse(frame, depth + frame) + room[0] : 0;
}

static void overflow(void *arg)
{
    fiber_park(&pool);
    recurse(*(size_t *)arg, 0);
}

/* With other stacks on all sides, which it would overwrite without a guard. */
static void overflow_beside_others(void *arg)
{
    struct touch others[8], first = {.size = STACK};
    for (int i = 0; i < 8; i++) {
        others[i] = first;
        fiber_start(&pool, touch_all, &others[i]);
    }
    struct fiber *middle = others[4].self;
    fiber_resume(&pool, middle); /* has returned, so its stack is used next */
    fiber_start(&pool, overflow, arg);
    fiber_resume(&pool, middle);
}

/* The guard stops frames that skip pages, too. */
static void overflow_hits_the_guard(void **state)
{
    (void)state;
    size_t frames[] = {100, 1000, 8000, 50000};
    for (size_t i = 0; i < 4; i++) {
        int status = in_child(overflow_beside_others, &frames[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSEGV);
    }
}

/* ---- memory ---- */

static void park_until_resumed(void *arg)
{
    *(struct fiber **)arg = fiber_self(&pool);
    fiber_park(&pool);
    *(struct fiber **)arg = NULL;
}

static void start_fails_without_address_space(void **state)
{
    (void)state;
    struct fiber *f = NULL;
    fiber_pool_init(&pool, (size_t)1 << 62, MAX);
    assert_int_equal(fiber_start(&pool, park_until_resumed, &f), -ENOMEM);
    assert_null(f);
    assert_int_equal(pool.in_use, 0);
    assert_int_equal(pool.total, 0);
}

/* 0 if /proc does not tell. */
static size_t address_space(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%zu", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#define EXPECT(cond) ((cond) ? (void)0 : _exit(__LINE__ % 200 + 1))

static void use_up_memory(void *arg)
{
    static struct fiber *f[MAX];
    (void)arg;
    int n = 0, err = 0;
    rlim_t room = address_space() + 64 * (STACK + (1 << 17));
    EXPECT(setrlimit(RLIMIT_AS, &(struct rlimit){room, RLIM_INFINITY}) == 0);
    while (n < MAX && (err = fiber_start(&pool, park_until_resumed, &f[n])) == 0) n++;
    EXPECT(err == -ENOMEM);
    EXPECT(n >= 16 && pool.in_use == (uint32_t)n && !f[n] && !fiber_self(&pool));
    /* The existing fibers continue, and their stacks can be reused. */
    fiber_resume(&pool, f[0]);
    EXPECT(!f[0] && fiber_start(&pool, park_until_resumed, &f[0]) == 0);
    EXPECT(fiber_start(&pool, park_until_resumed, &f[n]) == -ENOMEM);
    for (int i = 0; i < n; i++) fiber_resume(&pool, f[i]);
    fiber_pool_drain(&pool);
    EXPECT(fiber_start(&pool, park_until_resumed, &f[0]) == 0);
}

static void start_fails_when_memory_runs_out(void **state)
{
    (void)state;
    if (RUNNING_ON_VALGRIND || THREAD_SANITIZER) {
        print_message("the memory of valgrind or the thread sanitizer would be limited\n");
        skip();
    }
    assert_int_equal(in_child(use_up_memory, NULL), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(registers_survive),
        CASE(floating_point_survives),
        CASE(stacks_are_aligned),
        CASE(the_whole_stack_is_usable),
        CASE(overflow_hits_the_guard),
        CASE(start_fails_without_address_space),
        CASE(start_fails_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
