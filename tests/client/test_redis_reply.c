#include "client/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* To free what has come of an array does not look at all that was announced. */
static void test_free_of_a_part(void **state)
{
    (void)state;
    torc_redis_reply *part = redis_reply_array(true, 4);
    part->element[0] = redis_reply_integer(false, 1);
    part->element[1] = redis_reply_text(false, TORC_REDIS_STRING, TORC_S("a"));
    part->element[3] = part; /* whoever looks at this one does not come to an end */
    redis_reply_free(part);
    redis_reply_free(redis_reply_array(true, 0));
    redis_reply_free(NULL);
}

/* However deep it is: what frees it needs no stack for that. */
static void test_free_of_a_deep_one(void **state)
{
    enum { DEEP = 1000 * 1000 };
    (void)state;
    torc_redis_reply *root = redis_reply_array(true, 2), *in = root;
    for (int i = 0; i < DEEP; i++) {
        in->element[0] = redis_reply_array(false, 2);
        in->element[1] = redis_reply_nil(false);
        in = in->element[0];
    }
    redis_reply_free(root);
}

static void test_looking(void **state)
{
    (void)state;
    torc_redis_reply *r = redis_reply_text(true, TORC_REDIS_STATUS, TORC_S("OK"));
    assert_int_equal(torc_redis_type(r), TORC_REDIS_STATUS);
    assert_string_equal(torc_redis_text(r).ptr, "OK");
    assert_int_equal(torc_redis_integer(r), 0);
    assert_int_equal(torc_redis_elements(r), 0);
    assert_null(torc_redis_element(r, 0));
    redis_reply_free(r);
    assert_int_equal(torc_redis_type(NULL), TORC_REDIS_NIL);
    assert_null(torc_redis_text(NULL).ptr);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_of_a_part),
        cmocka_unit_test(test_free_of_a_deep_one),
        cmocka_unit_test(test_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
