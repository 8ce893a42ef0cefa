/* Which limit is named where a thread or memory was refused; those that a process can set are in
 * tests/serve/test_refused_memory.c. */

#include "base/limit.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* musl has no default of more than 8 MiB. */
static bool is_taken(size_t size)
{
    pthread_attr_t attr;
    size_t found = 0;
    assert_int_equal(pthread_getattr_default_np(&attr), 0);
    pthread_attr_getstacksize(&attr, &found);
    pthread_attr_destroy(&attr);
    return found == size;
}

/* The C library makes EAGAIN of it, as of too many threads. */
static void a_stack_that_is_too_large_is_told_from_too_many_threads(void **state)
{
    pthread_attr_t usual, large;
    (void)state;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&large), 0);
    assert_int_equal(pthread_attr_setstacksize(&large, (size_t)1 << 48), 0); /* no CPU has that */
    assert_int_equal(pthread_setattr_default_np(&large), 0);
    if (is_taken((size_t)1 << 48)) assert_non_null(strstr(limit_of_thread(EAGAIN), "ulimit -s"));
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    assert_non_null(strstr(limit_of_thread(EAGAIN), "ulimit -u"));
    pthread_attr_destroy(&large);
    pthread_attr_destroy(&usual);
}

static void other_errors_are_no_limit(void **state)
{
    (void)state;
    assert_string_equal(limit_of_thread(EPERM), "");
    assert_string_equal(limit_of_thread(EINVAL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_that_is_too_large_is_told_from_too_many_threads),
        cmocka_unit_test(other_errors_are_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
