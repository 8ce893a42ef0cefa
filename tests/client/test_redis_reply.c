#include "client/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static redisReader *read_some(const char *bytes)
{
    redisReader *reader = redisReaderCreate();
    assert_non_null(reader);
    redis_reply_functions(reader);
    assert_int_equal(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
    return reader;
}

/* To free what has come of an array does not look at all that was announced. */
static void test_free_of_a_part(void **state)
{
    void *none = NULL;
    (void)state;
    redisReader *reader = read_some("*4\r\n:1\r\n$1\r\na\r\n");
    assert_int_equal(redisReaderGetReply(reader, &none), REDIS_OK);
    assert_null(none);
    torc_redis_reply *part = reader->reply;
    assert_int_equal(torc_redis_elements(part), 4);
    assert_non_null(part->element[1]);
    assert_null(part->element[2]);
    part->element[3] = part; /* whoever looks at this one does not come to an end */
    redisReaderFree(reader);
}

static void nest(char *out, int arrays)
{
    *out = '\0';
    for (int i = 0; i < arrays; i++) strcat(out, "*1\r\n");
    strcat(out, ":7\r\n");
}

static void test_nested_arrays(void **state)
{
    char bytes[8192];
    void *reply = NULL;
    (void)state;
    nest(bytes, 7);
    redisReader *reader = read_some(bytes);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    const torc_redis_reply *r = reply;
    for (int i = 0; i < 7; i++) r = torc_redis_element(r, 0);
    assert_int_equal(torc_redis_integer(r), 7);
    redis_reply_free(reply);
    redisReaderFree(reader);

    nest(bytes, 1000);
    reader = read_some(bytes);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_ERR);
    redisReaderFree(reader);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_of_a_part),
        cmocka_unit_test(test_nested_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
