#include "base/arena.h"

#include "base/assert.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static max_align_t first_block[512 / sizeof(max_align_t)];
static char *const first = (char *)first_block;

static void allocates_from_the_first_block_first(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, first, 512, 4096);
    assert_ptr_equal(arena_alloc_aligned(&a, 3, 1), first);
    assert_ptr_equal(arena_alloc_aligned(&a, 4, 4), first + 4);
    assert_ptr_equal(arena_alloc(&a, 8), first + 16);
    assert_ptr_equal(arena_alloc_aligned(&a, 512 - 24, 1), first + 24); /* to the last byte */
    assert_int_equal(a.used, 0);
    char *p = arena_alloc(&a, 1);
    assert_non_null(p);
    assert_true(p < first || p >= first + 512);
    assert_int_equal(a.used, 4096);
    arena_end(&a);
    memset(first, 0, 512); /* no longer poisoned */
}

static void alignment(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 4096; align *= 2) {
        struct arena a;
        arena_init(&a, first, 512, 1 << 20);
        for (int i = 0; i < 50; i++) {
            assert_non_null(arena_alloc_aligned(&a, 1, 1));
            void *p = arena_alloc_aligned(&a, 40, align);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % align, 0);
            memset(p, i, 40);
        }
        assert_int_equal((uintptr_t)arena_alloc(&a, 5) % _Alignof(max_align_t), 0);
        arena_end(&a);
    }
}

static void blocks_double_up_to_the_limit(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0, 20000);
    assert_non_null(arena_alloc(&a, 0));
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 1));
    assert_int_equal(a.used, 4096);
    assert_non_null(arena_alloc(&a, 4060));
    assert_int_equal(a.used, 4096);
    assert_non_null(arena_alloc(&a, 100));
    assert_int_equal(a.used, 4096 + 8192);
    assert_non_null(arena_alloc(&a, 7000));
    assert_null(arena_alloc(&a, 20000 - 4096 - 8192)); /* minus the block header */
    assert_int_equal(a.used, 4096 + 8192);
    assert_non_null(arena_alloc(&a, 2000)); /* the last block is smaller, up to the limit */
    assert_int_equal(a.used, 20000);
    assert_null(arena_alloc(&a, 10000));
    assert_non_null(arena_alloc(&a, 100));
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 15000)); /* larger than a first block */
    assert_true(a.used >= 15000 && a.used <= 20000);
    arena_end(&a);
}

static void no_limit_and_huge_sizes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, first, 512, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 15));
    assert_null(arena_alloc_aligned(&a, SIZE_MAX - 100, 4096));
    char *p = arena_alloc_aligned(&a, 10, 1);
    assert_ptr_equal(p, first);
    assert_null(arena_extend(&a, p, 10, SIZE_MAX));
    assert_null(arena_extend(&a, p, 10, SIZE_MAX - 9));
    assert_int_equal(a.used, 0);
    arena_end(&a);

    arena_init(&a, first, 512, 0);
    assert_non_null(arena_alloc(&a, 512));
    assert_null(arena_alloc(&a, 1));
    arena_end(&a);
}

static void extend(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, first, 512, 4096);
    char *p = arena_extend(&a, NULL, 0, 3);
    assert_ptr_equal(p, first);
    memcpy(p, "abc", 3);
    assert_ptr_equal(arena_extend(&a, p, 3, 2), p);
    memcpy(p + 3, "de", 2);
    assert_ptr_equal(arena_extend(&a, p, 5, 0), p);
    assert_int_equal(a.at - first, 5);

    /* No longer the last allocation: copied, and the old bytes stay. */
    char *other = arena_alloc_aligned(&a, 1, 1);
    *other = 'x';
    char *q = arena_extend(&a, p, 5, 5);
    assert_ptr_equal(q, other + 1);
    memcpy(q + 5, "fghij", 5);
    assert_memory_equal(p, "abcde", 5);
    assert_memory_equal(q, "abcdefghij", 10);
    assert_int_equal(*other, 'x');

    /* To the end of the block in place, one byte more in the next. */
    size_t room = (size_t)(first + 512 - (q + 10));
    assert_ptr_equal(arena_extend(&a, q, 10, room), q);
    memset(q + 10, 'y', room);
    p = arena_extend(&a, q, 10 + room, 1);
    assert_non_null(p);
    assert_true(p < first || p >= first + 512);
    assert_memory_equal(p, q, 10 + room);
    assert_int_equal(a.used, 4096);

    /* Past the limit: NULL; the old bytes stay and can still grow by less. */
    size_t len = 11 + room;
    assert_null(arena_extend(&a, p, len, 4096));
    assert_memory_equal(p, "abcdefghijy", 11);
    assert_ptr_equal(arena_extend(&a, p, len, 100), p);
    arena_end(&a);
}

static void extend_byte_by_byte(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, first, 512, 1 << 20);
    char *p = NULL;
    size_t moves = 0;
    for (size_t n = 0; n < 100000; n++) {
        char *q = arena_extend(&a, p, n, 1);
        assert_non_null(q);
        moves += q != p;
        p = q;
        p[n] = (char)(n * 7 / 3);
    }
    for (size_t n = 0; n < 100000; n++)
        if (p[n] != (char)(n * 7 / 3)) fail_msg("byte %zu is damaged", n);
    assert_true(moves <= 8); /* first, then blocks of 4, 8, … 128 KiB */
    arena_end(&a);
}

/* Every allocation keeps its bytes while others are made, and none exceeds the limit. */
static void allocations_do_not_overlap(void **state)
{
    (void)state;
    enum { MAX = 400, LIMIT = 100000 };
    static struct {
        unsigned char *p;
        size_t size;
    } got[MAX];
    struct arena a;
    arena_init(&a, first, 512, LIMIT);
    for (int round = 0; round < 200; round++) {
        size_t n = 0, refused = 0;
        while (n < MAX && refused < 3) {
            size_t size = random_log(13);
            unsigned char *p;
            if (n && random_below(3) == 0) {
                size_t last = n - 1 - (random_below(4) == 0 && n > 1);
                size_t more = random_log(10);
                p = (unsigned char *)arena_extend(&a, (char *)got[last].p, got[last].size, more);
                if (p) {
                    memset(p + got[last].size, (int)(last & 0xff), more);
                    got[last].p = p;
                    got[last].size += more;
                }
            } else if ((p = arena_alloc_aligned(&a, size, 1ull << random_below(8)))) {
                memset(p, (int)(n & 0xff), size);
                got[n].p = p;
                got[n++].size = size;
            }
            refused += p == NULL;
            assert_true(a.used <= LIMIT);
        }
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < got[i].size; k++)
                if (got[i].p[k] != (i & 0xff)) fail_msg("allocation %zu is damaged", i);
        arena_reset(&a);
        assert_ptr_equal(a.at, first);
    }
    arena_end(&a);
}

#ifdef POISON_ENABLED
static void unallocated_memory_is_poisoned(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, first, 512, 8192);
    assert_true(__asan_address_is_poisoned(first));
    char *p = arena_alloc(&a, 20);
    assert_null(__asan_region_is_poisoned(p, 20));
    assert_true(__asan_address_is_poisoned(p + 20));
    assert_ptr_equal(arena_extend(&a, p, 20, 10), p);
    assert_null(__asan_region_is_poisoned(p, 30));
    assert_true(__asan_address_is_poisoned(p + 30));
    char *q = arena_alloc(&a, 1000);
    assert_null(__asan_region_is_poisoned(q, 1000));
    assert_true(__asan_address_is_poisoned(q + 1000));
    arena_reset(&a);
    assert_true(__asan_address_is_poisoned(p));
    arena_end(&a);
    assert_null(__asan_region_is_poisoned(first, 512));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocates_from_the_first_block_first),
        cmocka_unit_test(alignment),
        cmocka_unit_test(blocks_double_up_to_the_limit),
        cmocka_unit_test(no_limit_and_huge_sizes),
        cmocka_unit_test(extend),
        cmocka_unit_test(extend_byte_by_byte),
        cmocka_unit_test(allocations_do_not_overlap),
#ifdef POISON_ENABLED
        cmocka_unit_test(unallocated_memory_is_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
