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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
