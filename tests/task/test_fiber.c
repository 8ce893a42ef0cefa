#include "task/fiber.h"

#include "base/random.h"
#include "child.h"
#include "task/stack.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef TORC_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

enum { STACK = 64 * 1024, LARGE = 1 << 20 };

static struct fiber_pool pool;

/* What munmap refuses, as the kernel does within a mapping at vm.max_map_count: every second call,
 * every one, or those of large mappings. */
static enum { REFUSES_NONE, REFUSES_SECOND, REFUSES_ALL, REFUSES_LARGE } refuses;

int __real_munmap(void *at, size_t n);
int __wrap_munmap(void *at, size_t n);

int __wrap_munmap(void *at, size_t n)
{
    static __thread unsigned calls;
    if (refuses == REFUSES_ALL || (refuses == REFUSES_SECOND && calls++ % 2) ||
        (refuses == REFUSES_LARGE && n > LARGE)) {
        errno = ENOMEM;
        return -1;
    }
    return __real_munmap(at, n);
}

/* The steps that the fibers of a test took, in order. */
static char trace[64];

static void step(char c)
{
    size_t n = strlen(trace);
    assert_true(n + 1 < sizeof trace);
    trace[n] = c;
}

static int set_up(void **state)
{
    (void)state;
    memset(trace, 0, sizeof trace);
    fiber_pool_init(&pool, STACK, 100);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(pool.in_use, 0);
    assert_null(fiber_self(&pool));
    fiber_pool_drain(&pool);
    assert_int_equal(pool.total, 0);
    return 0;
}

static bool on_own_stack(void)
{
    static __thread char *near;
    char here, *at = &here;
    __asm__("" : "+r"(at));
    if (!near) near = at;
    return at - near < STACK && near - at < STACK;
}

static void run_once(void *arg)
{
    assert_false(on_own_stack());
    assert_non_null(fiber_self(&pool));
    ++*(int *)arg;
}

static void a_fiber_that_never_parks(void **state)
{
    (void)state;
    assert_true(on_own_stack());
    int runs = 0;
    for (int i = 1; i <= 1000; i++) {
        assert_int_equal(fiber_start(&pool, run_once, &runs), 0);
        assert_int_equal(runs, i);
        assert_null(fiber_self(&pool));
        assert_int_equal(pool.in_use, 0);
    }
    assert_int_equal(pool.total, 1);
    assert_true(on_own_stack());
}

/* A parked fiber that the test resumes. */
struct parked {
    struct fiber *self;
    char mark;
    int value;
};

static void park_twice(void *arg)
{
    struct parked *p = arg;
    p->self = fiber_self(&pool);
    int value = p->value;
    step(p->mark);
    fiber_park(&pool);
    assert_ptr_equal(fiber_self(&pool), p->self);
    step(p->mark);
    fiber_park(&pool);
    assert_int_equal(value, p->value);
    step((char)(p->mark - 'a' + 'A'));
}

static void resumes_where_it_parked(void **state)
{
    (void)state;
    struct parked a = {.mark = 'a', .value = 1}, b = {.mark = 'b', .value = 2};
    assert_int_equal(fiber_start(&pool, park_twice, &a), 0);
    assert_null(fiber_self(&pool));
    assert_int_equal(fiber_start(&pool, park_twice, &b), 0);
    assert_ptr_not_equal(a.self, b.self);
    assert_int_equal(pool.in_use, 2);
    step('-');
    fiber_resume(&pool, b.self);
    fiber_resume(&pool, a.self);
    fiber_resume(&pool, a.self);
    assert_int_equal(pool.in_use, 1);
    fiber_resume(&pool, b.self);
    assert_string_equal(trace, "ab-baAB");
}

static void start_two(void *arg)
{
    struct parked *p = arg;
    struct fiber *self = fiber_self(&pool);
    step('(');
    assert_int_equal(fiber_start(&pool, park_twice, &p[0]), 0);
    assert_ptr_equal(fiber_self(&pool), self);
    step('.');
    assert_int_equal(fiber_start(&pool, park_twice, &p[1]), 0);
    assert_ptr_equal(fiber_self(&pool), self);
    int ran = 0;
    assert_int_equal(fiber_start(&pool, run_once, &ran), 0);
    assert_int_equal(ran, 1);
    assert_ptr_equal(fiber_self(&pool), self);
    step(')');
}

/* Two fibers were started by a fiber that has since returned; each parks to whoever resumes it. */
static void fibers_started_from_a_fiber(void **state)
{
    (void)state;
    struct parked p[2] = {{.mark = 'a', .value = 1}, {.mark = 'b', .value = 2}};
    assert_int_equal(fiber_start(&pool, start_two, p), 0);
    assert_string_equal(trace, "(a.b)");
    assert_int_equal(pool.in_use, 2);
    for (int i = 0; i < 2; i++) {
        fiber_resume(&pool, p[0].self);
        assert_null(fiber_self(&pool));
        fiber_resume(&pool, p[1].self);
    }
    assert_string_equal(trace, "(a.b)abAB");
}

enum { CHAIN = 50 };

static struct fiber *chain[CHAIN];
static unsigned chained, unchained;

static void start_next(void *arg)
{
    unsigned n = chained;
    (void)arg;
    chain[chained++] = fiber_self(&pool);
    if (chained < CHAIN) assert_int_equal(fiber_start(&pool, start_next, NULL), 0);
    fiber_park(&pool);
    assert_ptr_equal(chain[n], fiber_self(&pool));
    unchained++;
}

static void fibers_start_one_another(void **state)
{
    (void)state;
    chained = unchained = 0;
    assert_int_equal(fiber_start(&pool, start_next, NULL), 0);
    assert_int_equal(chained, CHAIN);
    assert_int_equal(unchained, 0);
    for (int i = 0; i < CHAIN; i++) fiber_resume(&pool, chain[(i * 7 + 3) % CHAIN]);
    assert_int_equal(unchained, CHAIN);
}

struct one_of_many {
    struct fiber_pool *pool;
    struct fiber *self;
    uint64_t seed;
    unsigned rounds;
    bool done;
};

/* Keeps words on its stack and checks that nothing else writes there. */
static void keep_words(void *arg)
{
    struct one_of_many *m = arg;
    uint64_t words[64];
    m->self = fiber_self(m->pool);
    for (size_t i = 0; i < 64; i++) words[i] = m->seed * (i + 1);
    while (m->rounds-- > 0) fiber_park(m->pool);
    for (size_t i = 0; i < 64; i++) assert_int_equal(words[i], m->seed * (i + 1));
    m->done = true;
}

static void run_many(struct fiber_pool *p, uint32_t n, uint64_t (*next)(uint64_t))
{
    struct one_of_many *many = calloc(n, sizeof *many);
    uint32_t *left = calloc(n, sizeof *left), n_left = 0;
    assert_true(many && left);
    for (uint32_t i = 0; i < n; i++) {
        many[i] = (struct one_of_many){p, NULL, i + 1, i % 4, false};
        assert_int_equal(fiber_start(p, keep_words, &many[i]), 0);
        if (!many[i].done) left[n_left++] = i;
        assert_int_equal(many[i].done, i % 4 == 0);
    }
    assert_int_equal(p->in_use, n_left);
    for (uint64_t at = 1; n_left > 0;) {
        uint32_t *l = &left[(at = next(at)) % n_left];
        fiber_resume(p, many[*l].self);
        if (many[*l].done) *l = left[--n_left];
    }
    for (uint32_t i = 0; i < n; i++) assert_true(many[i].done);
    assert_int_equal(p->in_use, 0);
    free(many);
    free(left);
}

static uint64_t next_random(uint64_t at)
{
    (void)at;
    return random_u64();
}

static uint64_t next_scrambled(uint64_t at)
{
    return at * 2862933555777941757u + 3037000493u;
}

static void thousands_of_fibers(void **state)
{
    (void)state;
#ifdef FIBER_TSAN
    uint32_t n = 1000; /* ThreadSanitizer supports a few thousand fibers */
#else
    uint32_t n = RUNNING_ON_VALGRIND ? 1000 : 10000;
#endif
    struct fiber_pool p;
    fiber_pool_init(&p, 16 * 1024, n);
    for (int i = 0; i < 3; i++) run_many(&p, n, next_random);
    assert_true(p.total <= n);
    fiber_pool_drain(&p);
}

static void *on_a_thread(void *arg)
{
    struct fiber_pool *p = arg;
    for (int i = 0; i < 20; i++) {
        run_many(p, 50, next_scrambled);
        fiber_pool_trim(p);
    }
    fiber_pool_drain(p);
    return NULL;
}

static void a_pool_on_each_thread(void **state)
{
    (void)state;
    static struct fiber_pool p[2];
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        fiber_pool_init(&p[i], STACK, 50);
        assert_int_equal(pthread_create(&thread[i], NULL, on_a_thread, &p[i]), 0);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
}

static void start_fails_beyond_max(void **state)
{
    (void)state;
    struct parked p[100];
    int runs = 0;
    for (int i = 0; i < 100; i++) {
        p[i] = (struct parked){.mark = 'a'};
        trace[0] = '\0';
        assert_int_equal(fiber_start(&pool, park_twice, &p[i]), 0);
    }
    assert_int_equal(fiber_start(&pool, run_once, &runs), -EAGAIN);
    assert_int_equal(fiber_start(&pool, run_once, &runs), -EAGAIN);
    assert_int_equal(runs, 0);
    assert_int_equal(pool.in_use, 100);
    for (int i = 0; i < 100; i++) {
        memset(trace, 0, sizeof trace);
        fiber_resume(&pool, p[i].self);
        fiber_resume(&pool, p[i].self);
        assert_int_equal(fiber_start(&pool, run_once, &runs), 0);
        assert_int_equal(runs, i + 1);
    }
    assert_int_equal(pool.total, 100);
}

/* Free stacks, and those that a fiber has for itself, are no room beyond it. */
static void start_fails_beyond_a_max_that_was_lowered(void **state)
{
    (void)state;
    struct parked p[4];
    int runs = 0;
    for (int i = 0; i < 4; i++) {
        p[i] = (struct parked){.mark = 'a'};
        assert_int_equal(fiber_start(&pool, park_twice, &p[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        memset(trace, 0, sizeof trace);
        fiber_resume(&pool, p[i].self);
        fiber_resume(&pool, p[i].self);
    }
    assert_int_equal(pool.total, 4);
    pool.max = 2;
    assert_int_equal(fiber_start(&pool, park_twice, &p[0]), 0);
    assert_int_equal(fiber_start_apart(&pool, STACK, park_twice, &p[1], NULL), 0);
    assert_int_equal(fiber_start(&pool, run_once, &runs), -EAGAIN);
    assert_int_equal(fiber_start_apart(&pool, STACK, run_once, &runs, NULL), -EAGAIN);
    assert_int_equal(runs, 0);
    for (int i = 0; i < 2; i++) {
        memset(trace, 0, sizeof trace);
        fiber_resume(&pool, p[i].self);
        fiber_resume(&pool, p[i].self);
        assert_int_equal(fiber_start(&pool, run_once, &runs), 0);
    }
    assert_int_equal(runs, 2);
}

static void note_self(void *arg)
{
    *(struct fiber **)arg = fiber_self(&pool);
}

static void last_used_is_first_reused(void **state)
{
    (void)state;
    struct parked p[3] = {{.mark = 'a'}, {.mark = 'b'}, {.mark = 'c'}};
    struct fiber *self;
    for (int i = 0; i < 3; i++) assert_int_equal(fiber_start(&pool, park_twice, &p[i]), 0);
    static const int order[] = {1, 0, 2};
    for (int i = 0; i < 3; i++) {
        fiber_resume(&pool, p[order[i]].self);
        fiber_resume(&pool, p[order[i]].self);
        assert_int_equal(fiber_start(&pool, note_self, &self), 0);
        assert_ptr_equal(self, p[order[i]].self);
    }
    assert_int_equal(pool.total, 3);
}

/* Runs n fibers at once and leaves them free. */
static void use(uint32_t n)
{
    struct one_of_many many[100];
    assert_true(n <= 100);
    for (uint32_t i = 0; i < n; i++) {
        many[i] = (struct one_of_many){.pool = &pool, .seed = i, .rounds = 1};
        assert_int_equal(fiber_start(&pool, keep_words, &many[i]), 0);
    }
    for (uint32_t i = 0; i < n; i++) fiber_resume(&pool, many[i].self);
}

static bool look_at(void *at, unsigned char *in_core)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return mincore((void *)((uintptr_t)at & ~(page - 1)), page, in_core) == 0;
}

static bool is_mapped(void *at)
{
    unsigned char in_core;
    return look_at(at, &in_core);
}

static bool is_resident(void *at)
{
    unsigned char in_core;
    return look_at(at, &in_core) && in_core & 1;
}

static void trim_unmaps_half_of_those_always_free(void **state)
{
    (void)state;
    fiber_pool_trim(&pool); /* of an empty pool */
    use(41);
    assert_int_equal(pool.total, 41);
    fiber_pool_trim(&pool); /* all were in use since the last trim */
    assert_int_equal(pool.total, 41);
    use(11); /* leaves 30 free */
    fiber_pool_trim(&pool);
    assert_int_equal(pool.total, 26);
    fiber_pool_trim(&pool);
    assert_int_equal(pool.total, 13);
    use(20);
    fiber_pool_trim(&pool);
    assert_int_equal(pool.total, 20);
    for (int i = 0; i < 10; i++) fiber_pool_trim(&pool);
    assert_int_equal(pool.total, 1); /* the most recently used one stays */
}

/* The core serves nobody while it unmaps, so after a burst it unmaps a few stacks at a time: each
 * trim has as many parts as it takes. */
static void trim_is_bounded(void **state)
{
    (void)state;
    struct fiber_pool p;
    fiber_pool_init(&p, 16 * 1024, 1000);
    run_many(&p, 1000, next_random);
    assert_false(fiber_pool_trim(&p));
    for (uint32_t half = p.total / 2; half > 0; half /= 2) {
        uint32_t before = p.total;
        for (; fiber_pool_trim(&p); before = p.total)
            assert_true(p.total < before && before - p.total <= 200);
        assert_in_range(p.total, half, half + 1);
    }
    fiber_pool_drain(&p);
}

static void trim_unmaps_the_least_recently_used(void **state)
{
    (void)state;
    struct one_of_many cold = {.pool = &pool, .rounds = 1}, hot = cold, busy = cold;
    assert_int_equal(fiber_start(&pool, keep_words, &cold), 0);
    assert_int_equal(fiber_start(&pool, keep_words, &hot), 0);
    assert_int_equal(fiber_start(&pool, keep_words, &busy), 0);
    fiber_resume(&pool, cold.self);
    fiber_resume(&pool, hot.self);
    fiber_pool_trim(&pool);
    assert_true(is_mapped(cold.self) && is_mapped(hot.self));
    fiber_pool_trim(&pool);
    assert_false(is_mapped(cold.self));
    assert_true(is_mapped(hot.self) && is_mapped(busy.self));
    assert_int_equal(pool.total, 2);
    fiber_resume(&pool, busy.self);
    assert_true(busy.done);
}

enum { REFUSED = 40, DEEP = 16 * 1024 };

static struct fiber *deep[REFUSED];
static uint32_t n_deep;

static void park_deep(void *arg)
{
    volatile char bytes[DEEP];
    (void)arg;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = 1;
    deep[n_deep++] = fiber_self(&pool);
    fiber_park(&pool);
}

/* Has `n` fibers use their stacks at once. */
static void use_deep(uint32_t n)
{
    n_deep = 0;
    for (uint32_t i = 0; i < n; i++) assert_int_equal(fiber_start(&pool, park_deep, NULL), 0);
    for (uint32_t i = 0; i < n; i++) fiber_resume(&pool, deep[i]);
    assert_int_equal(pool.in_use, 0);
}

static uint32_t count_mapped(struct fiber *const at[REFUSED])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < REFUSED; i++) n += is_mapped(at[i]);
    return n;
}

/* A stack that cannot be unmapped stays one of the pool's: it is counted, is used again, and is
 * unmapped when it can be. */
static void stacks_that_cannot_be_unmapped(void **state)
{
    (void)state;
    struct fiber *at[REFUSED];
    use_deep(REFUSED);
    memcpy(at, deep, sizeof at);
    fiber_pool_trim(&pool);
    refuses = REFUSES_SECOND;
    for (int i = 0; i < 3; i++) {
        fiber_pool_trim(&pool);
        assert_int_equal(pool.total, count_mapped(at));
    }
    refuses = REFUSES_ALL;
    for (int i = 0; i < 10; i++) fiber_pool_trim(&pool);
    assert_int_equal(pool.total, count_mapped(at));
    uint32_t kept = pool.total, created = pool.n_created;
    assert_true(kept > 1 && kept < REFUSED);
    use_deep(kept);
    assert_int_equal(pool.n_created, created);
    assert_int_equal(pool.total, kept);
    for (int i = 0; i < 10; i++) fiber_pool_trim(&pool);
    refuses = REFUSES_NONE;
    for (int i = 0; i < 10; i++) fiber_pool_trim(&pool);
    assert_in_range(pool.total, 0, 1);
    assert_int_equal(pool.total, count_mapped(at));
}

/* What it has used is free all the same. */
static void stacks_that_stay_mapped_have_no_memory(void **state)
{
    (void)state;
    use_deep(REFUSED);
    char *used = (char *)deep[0] - DEEP;
    assert_true(is_resident(used));
    refuses = REFUSES_ALL;
    fiber_pool_drain(&pool);
    assert_int_equal(pool.total, REFUSED);
    assert_true(is_mapped(used));
    assert_false(is_resident(used));
    use_deep(REFUSED);
    assert_int_equal(pool.total, REFUSED);
    refuses = REFUSES_NONE;
}

static void park_once(void *arg)
{
    struct fiber **self = arg;
    *self = fiber_self(&pool);
    fiber_park(&pool);
}

/* Where all are refused, there is nothing to come back for soon. */
static void a_trim_that_is_refused_is_over(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    struct fiber *all[MANY];
    pool.max = MANY;
    for (int i = 0; i < MANY; i++) assert_int_equal(fiber_start(&pool, park_once, &all[i]), 0);
    for (int i = 0; i < MANY; i++) fiber_resume(&pool, all[i]);
    refuses = REFUSES_ALL;
    for (int i = 0; i < 50; i++) fiber_pool_trim(&pool);
    assert_int_equal(pool.total, MANY);
    for (int i = 0; i < 50; i++) assert_false(fiber_pool_trim(&pool));
    refuses = REFUSES_NONE;
    for (int i = 0; i < 50; i++) fiber_pool_trim(&pool);
    assert_in_range(pool.total, 0, 1);
}

/* One of a size of its own is nobody else's. */
static void a_stack_apart_that_cannot_be_unmapped(void **state)
{
    (void)state;
    int runs = 0;
    use(1);
    refuses = REFUSES_ALL;
    assert_int_equal(fiber_start_apart(&pool, STACK / 4, run_once, &runs, NULL), 0);
    assert_int_equal(pool.total, 2);
    use(3);
    assert_int_equal(pool.total, 4);
    refuses = REFUSES_NONE;
    fiber_pool_trim(&pool);
    assert_int_equal(pool.total, 3);
}

/* And it keeps no other from being unmapped. */
static void a_stack_apart_is_in_nobodys_way(void **state)
{
    (void)state;
    int runs = 0;
    refuses = REFUSES_ALL;
    assert_int_equal(fiber_start_apart(&pool, LARGE, run_once, &runs, NULL), 0);
    use(REFUSED);
    for (int i = 0; i < 10; i++) fiber_pool_trim(&pool);
    refuses = REFUSES_LARGE;
    for (int i = 0; i < 10; i++) fiber_pool_trim(&pool);
    assert_in_range(pool.total, 1, 2);
    refuses = REFUSES_NONE;
}

static void pool_is_reusable_after_drain(void **state)
{
    (void)state;
    use(10);
    fiber_pool_trim(&pool);
    fiber_pool_drain(&pool);
    fiber_pool_trim(&pool);
    use(5);
    assert_int_equal(pool.total, 5);
}

static void drain_with_a_parked_fiber(void *arg)
{
    struct one_of_many m = {.pool = &pool, .rounds = 1};
    (void)arg;
    fiber_start(&pool, keep_words, &m);
    fiber_pool_drain(&pool);
}

static void drain_asserts_that_all_returned(void **state)
{
    (void)state;
    int status = in_child(drain_with_a_parked_fiber, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_fiber_that_never_parks),
        CASE(resumes_where_it_parked),
        CASE(fibers_started_from_a_fiber),
        CASE(fibers_start_one_another),
        CASE(thousands_of_fibers),
        CASE(a_pool_on_each_thread),
        CASE(start_fails_beyond_max),
        CASE(start_fails_beyond_a_max_that_was_lowered),
        CASE(last_used_is_first_reused),
        CASE(trim_unmaps_half_of_those_always_free),
        CASE(trim_is_bounded),
        CASE(trim_unmaps_the_least_recently_used),
        CASE(stacks_that_cannot_be_unmapped),
        CASE(stacks_that_stay_mapped_have_no_memory),
        CASE(a_trim_that_is_refused_is_over),
        CASE(a_stack_apart_that_cannot_be_unmapped),
        CASE(a_stack_apart_is_in_nobodys_way),
        CASE(pool_is_reusable_after_drain),
        CASE(drain_asserts_that_all_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
