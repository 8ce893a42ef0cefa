#include "base/slab.h"

#include "random.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINE = 64, KEEP = 4 << 20 };

static void last_freed_is_first_reused(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, "thing", 100, 10);
    void *a = slab_get(&s), *b = slab_get(&s), *c = slab_get(&s);
    slab_put(&s, b);
    slab_put(&s, a);
    assert_ptr_equal(slab_get(&s), a);
    assert_ptr_equal(slab_get(&s), b);
    assert_int_equal(s.in_use, 3);
    slab_put(&s, a);
    slab_put(&s, b);
    slab_put(&s, c);
    assert_int_equal(s.in_use, 0);
    slab_drain(&s);
}

static void object_stride(void **state)
{
    (void)state;
    static const struct {
        size_t size, apart;
    } cases[] = {
        {1, 16},         {16, 16},
        {17, 32},        {33, 64},
        {64, 64},        {65, 3 * LINE},
        {192, 3 * 64},   {193, 5 * 64},
        {256, 5 * 64},   {320, 5 * 64},
        {512, 9 * 64},   {1024, 17 * 64},
        {4096, 65 * 64}, {100000, 1563 * 64},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slab s;
        slab_init(&s, "thing", cases[i].size, 20);
        char *obj[20];
        for (int k = 0; k < 20; k++) {
            obj[k] = slab_get(&s);
            assert_non_null(obj[k]);
            size_t into_line = (uintptr_t)obj[k] % LINE;
            assert_int_equal((uintptr_t)obj[k] % 16, 0);
            assert_true(cases[i].size > LINE ? into_line == 0 : into_line + cases[i].size <= LINE);
        }
        assert_int_equal(obj[1] - obj[0], cases[i].apart);
        assert_null(slab_get(&s));
        for (int k = 0; k < 20; k++) slab_put(&s, obj[k]);
        slab_drain(&s);
    }
}

static void block_sizes(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, "small", 64, 5000);
    assert_int_equal(s.per_block, (64 * 1024 - LINE) / 64);
    slab_init(&s, "large", 60000, 5000);
    assert_int_equal(s.per_block, 8);
    slab_init(&s, "single", 300, 1);
    assert_int_equal(s.block_size, 4096);
    slab_init(&s, "single", 9000, 1);
    assert_int_equal(s.block_size, 16384);
    slab_init(&s, "few", 1000, 10);
    assert_int_equal(s.block_size, 16384);
}

/* Pages of a block are touched as objects are needed. */
static void few_objects_touch_little(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint32_t made;
    } cases[] = {{64, 64}, {320, 12}, {5000, 1}, {60000, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slab s;
        slab_init(&s, "thing", cases[i].size, 5000);
        void *a = slab_get(&s);
        assert_int_equal(s.total, cases[i].made);
        slab_put(&s, a);
        slab_drain(&s);
    }
}

/* A block that is only begun is freed as well, and the next one is begun afresh. */
static void a_begun_block_is_trimmed(void **state)
{
    (void)state;
    enum { N = 530, SIZE = 8000 }; /* more than KEEP, and not whole blocks */
    static void *obj[N];
    struct slab s;
    slab_init(&s, "thing", SIZE, UINT32_MAX);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) assert_non_null(obj[i] = slab_get(&s));
        assert_true(s.n_fresh > 0);
        for (int i = 0; i < N; i++) slab_put(&s, obj[i]);
        slab_trim(&s, KEEP, N);
        while (slab_trim(&s, KEEP, N)) {
        }
        assert_int_equal(s.total, 0);
        assert_int_equal(s.n_fresh, 0);
    }
    slab_drain(&s);
}

/* Random gets and puts; each object is filled with its number, so that an overlap shows. */
static void objects_do_not_overlap(void **state)
{
    (void)state;
    static const size_t sizes[] = {8, 24, 64, 200, 1000};
    enum { MAX = 2500 };
    static unsigned char *obj[MAX];
    for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
        size_t size = sizes[k];
        struct slab s;
        slab_init(&s, "thing", size, MAX);
        uint32_t in_use = 0;
        for (int step = 0; step < 20000; step++) {
            assert_int_equal(s.in_use, in_use);
            if (random_below(100) < (step < 12000 ? 65 : 35)) {
                unsigned char *p = slab_get(&s);
                assert_int_equal(p == NULL, in_use == MAX);
                if (!p) continue;
                memset(p, (int)(in_use & 0xff), size);
                obj[in_use++] = p;
            } else if (in_use) {
                unsigned char *p = obj[--in_use];
                for (size_t i = 0; i < size; i++)
                    if (p[i] != (in_use & 0xff)) fail_msg("object %u is damaged", in_use);
                slab_put(&s, p);
            }
        }
        while (in_use) slab_put(&s, obj[--in_use]);
        slab_drain(&s);
    }
}

/* What a burst has left is freed; objects in use stay, and so does what the next burst needs. */
static void trim_frees_what_a_burst_has_left(void **state)
{
    (void)state;
    enum { N = 3000, SIZE = 8000 };
    static char *obj[N];
    struct slab s;
    slab_init(&s, "thing", SIZE, UINT32_MAX);
    for (int i = 0; i < N; i++) {
        assert_non_null(obj[i] = slab_get(&s));
        memset(obj[i], i & 0xff, SIZE);
    }
    assert_false(slab_trim(&s, KEEP, 100)); /* all in use */
    for (int i = 0; i < N; i++)
        if (i % 100) slab_put(&s, obj[i]); /* every hundredth stays: a block in six or so */
    uint32_t total = s.total;
    assert_false(slab_trim(&s, KEEP, 100)); /* not at once: the next burst may follow */
    assert_int_equal(s.total, total);
    while (slab_trim(&s, KEEP, 100)) assert_int_equal(s.in_use, N / 100);
    assert_in_range(s.total, N / 100, total / 4);
    for (int i = 0; i < N; i += 100)
        for (int k = 0; k < SIZE; k++) assert_int_equal((unsigned char)obj[i][k], i & 0xff);
    for (int i = 0; i < N; i++)
        if (i % 100) assert_non_null(obj[i] = slab_get(&s));
    for (int i = 0; i < N; i++) slab_put(&s, obj[i]);
    slab_drain(&s);
}

/* Objects that a trim has put aside are there when they are needed, and none is handed out twice.
 */
static void a_trim_may_be_overtaken(void **state)
{
    (void)state;
    enum { N = 2000, SIZE = 8000 };
    static char *obj[N];
    struct slab s;
    slab_init(&s, "thing", SIZE, N);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++) {
            assert_non_null(obj[i] = slab_get(&s));
            *(int *)(void *)obj[i] = i;
        }
        assert_null(slab_get(&s));
        for (int i = 0; i < N; i++) assert_int_equal(*(int *)(void *)obj[i], i);
        for (int i = 0; i < N; i++) slab_put(&s, obj[i]);
        slab_trim(&s, KEEP, 10);
        assert_true(slab_trim(&s, KEEP, 10)); /* begins */
        for (uint32_t i = random_below(5); i > 0; i--) slab_trim(&s, KEEP, 1 + random_below(500));
    }
    slab_drain(&s);
}

static void a_small_slab_is_not_trimmed(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, "thing", 1000, UINT32_MAX);
    slab_put(&s, slab_get(&s));
    uint32_t total = s.total;
    for (int i = 0; i < 5; i++) assert_false(slab_trim(&s, KEEP, 1000));
    assert_int_equal(s.total, total);
    slab_drain(&s);
}

static void max_is_exact(void **state)
{
    (void)state;
    static const uint32_t maxima[] = {1, 7, 8, 9, 1023, 1024, 1500};
    static void *obj[1500];
    for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
        struct slab s;
        slab_init(&s, "thing", 64, maxima[i]);
        for (int round = 0; round < 2; round++) {
            for (uint32_t k = 0; k < maxima[i]; k++) assert_non_null(obj[k] = slab_get(&s));
            assert_null(slab_get(&s));
            assert_int_equal(s.total, maxima[i]);
            slab_put(&s, obj[0]);
            assert_ptr_equal(slab_get(&s), obj[0]);
            assert_null(slab_get(&s));
            for (uint32_t k = 0; k < maxima[i]; k++) slab_put(&s, obj[k]);
            slab_drain(&s); /* and it can be used again */
            assert_int_equal(s.total, 0);
        }
    }
    struct slab s;
    slab_init(&s, "none", 64, 0);
    assert_null(slab_get(&s));
    slab_drain(&s);
}

/* Runs `child` in a process of its own; expects it to print `text` on stderr and abort. */
static void expect_abort_message(void (*child)(void), const char *text)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        child();
        _exit(0);
    }
    close(fds[1]);
    char said[4096];
    size_t n = 0;
    for (ssize_t r; n < sizeof(said) - 1 && (r = read(fds[0], said + n, sizeof(said) - 1 - n)) > 0;)
        n += (size_t)r;
    said[n] = 0;
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, text));
}

static void drain_with_one_in_use(void)
{
    struct slab s;
    slab_init(&s, "lost-thing", 64, 10);
    slab_get(&s);
    slab_drain(&s);
}

static void put_more_than_get(void)
{
    struct slab s;
    slab_init(&s, "thing", 64, 10);
    void *a = slab_get(&s), *b = slab_get(&s);
    slab_put(&s, a);
    slab_put(&s, b);
    char other[64];
    slab_put(&s, other);
}

static void misuse_aborts(void **state)
{
    (void)state;
    expect_abort_message(drain_with_one_in_use,
                         "1 objects of slab \"lost-thing\" are still in use");
    expect_abort_message(put_more_than_get, "assertion failed: s->in_use > 0");
}

#ifdef POISON_ENABLED
static void free_objects_are_poisoned(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, "thing", 100, 10);
    char *a = slab_get(&s), *b = slab_get(&s);
    assert_null(__asan_region_is_poisoned(a, s.size));
    slab_put(&s, a);
    assert_true(__asan_address_is_poisoned(a));
    assert_true(__asan_address_is_poisoned(a + 99));
    assert_null(__asan_region_is_poisoned(b, s.size));
    assert_true(__asan_address_is_poisoned(b + s.size)); /* the next one, never allocated */
    assert_ptr_equal(slab_get(&s), a);
    assert_null(__asan_region_is_poisoned(a, s.size));
    slab_put(&s, a);
    slab_put(&s, b);
    slab_drain(&s);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_freed_is_first_reused),
        cmocka_unit_test(object_stride),
        cmocka_unit_test(block_sizes),
        cmocka_unit_test(few_objects_touch_little),
        cmocka_unit_test(a_begun_block_is_trimmed),
        cmocka_unit_test(objects_do_not_overlap),
        cmocka_unit_test(trim_frees_what_a_burst_has_left),
        cmocka_unit_test(a_trim_may_be_overtaken),
        cmocka_unit_test(a_small_slab_is_not_trimmed),
        cmocka_unit_test(max_is_exact),
        cmocka_unit_test(misuse_aborts),
#ifdef POISON_ENABLED
        cmocka_unit_test(free_objects_are_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
