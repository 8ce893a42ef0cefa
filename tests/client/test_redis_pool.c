#include "client/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* The counters of two cores are never on one cache line, wherever the memory comes from. */
static void test_alignment(void **state)
{
    enum { POOLS = 8 };
    torc_redis *pool[POOLS];
    void *between[POOLS];
    (void)state;
    for (size_t i = 0; i < POOLS; i++) {
        between[i] = malloc(16 * i + 1); /* or each might be at the same distance */
        pool[i] = torc_redis_new(NULL);
        assert_non_null(pool[i]);
        assert_int_equal((uintptr_t)pool[i] % _Alignof(torc_redis), 0);
    }
    for (size_t i = 0; i < POOLS; i++) {
        torc_redis_counters n;
        torc_redis_count(pool[i], &n);
        assert_int_equal(n.commands, 0);
        torc_redis_free(pool[i]);
        free(between[i]);
    }
}

/* Their lengths would not fit: nothing is read of them. */
static void test_words_that_are_too_long(void **state)
{
    static const size_t lens[][2] = {
        {3u << 30, 0}, {1u << 30, 1u << 30}, {SIZE_MAX, 1}, {1, SIZE_MAX}, {0xffffffff, 2}};
    char *bytes = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        const torc_slice words[] = {{"a", lens[i][0]}, {"b", lens[i][1]}};
        assert_int_equal(redis_format_words(NULL, 2, words, &bytes), -2);
        assert_null(bytes);
    }
    assert_int_equal(redis_format_words("GET", 1, (const torc_slice[]){{"k", 1}}, &bytes), 20);
    redisFreeCommand(bytes);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_words_that_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
