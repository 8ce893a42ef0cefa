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

static int format(char **bytes, const char *text, ...)
{
    va_list args;
    va_start(args, text);
    int len = redis_format(text, args, bytes);
    va_end(args);
    return len;
}

/* Likewise of a format, whatever comes before. */
static void test_formats_that_are_too_long(void **state)
{
    const size_t much = 3u << 30, half = 1u << 30, one = 1;
    char *bytes = NULL;
    (void)state;
    assert_int_equal(format(&bytes, "SET k %b", "v", much), -2);
    assert_int_equal(format(&bytes, "SET k %b", "v", SIZE_MAX), -2);
    assert_int_equal(format(&bytes, "MSET %b %s %b %s", "k", half, "v", "l", half, "w"), -2);
    assert_int_equal(format(&bytes, "ZADD %s %.3f%%%b", "k", 0.5, "v", much), -2);
    assert_int_equal(format(&bytes, "SET %d%hhd%ld%lld%+5x %b", 1, 2, 3L, 4LL, 5u, "v", much), -2);
    assert_int_equal(format(&bytes, "SET %2147483647d v", 1), -2);
    assert_null(bytes);
    assert_int_equal(format(&bytes, "SET %s:%ld%% %b%", "k", 7L, "v", one), 31);
    assert_string_equal(bytes, "*3\r\n$3\r\nSET\r\n$4\r\nk:7%\r\n$2\r\nv%\r\n");
    redisFreeCommand(bytes);
    bytes = NULL;
    assert_int_equal(format(&bytes, "SET k %y", 1), -2); /* what hiredis says of it */
    assert_null(bytes);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_words_that_are_too_long),
        cmocka_unit_test(test_formats_that_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
