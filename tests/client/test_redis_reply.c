#include "client/redis.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool refused;

static redisReader *read_some(const char *bytes)
{
    redisReader *reader = redisReaderCreate();
    assert_non_null(reader);
    refused = false;
    redis_reply_functions(reader, &refused);
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

static void expect_no_reply(const char *bytes)
{
    void *reply = NULL;
    redisReader *reader = read_some(bytes);
    if (redisReaderGetReply(reader, &reply) != REDIS_ERR) fail_msg("%s is a reply", bytes);
    assert_null(reply);
    assert_int_equal(redis_reply_error(reader), -EPROTO);
    redisReaderFree(reader);
}

static void nest(char *out, int arrays)
{
    *out = '\0';
    for (int i = 0; i < arrays; i++) out += sprintf(out, "*1\r\n");
    sprintf(out, ":7\r\n");
}

/* As deep as every version of hiredis reads; deeper ones are refused alike. */
static void test_nested_arrays(void **state)
{
    enum { DEEP = 8 };
    char bytes[8192];
    void *reply = NULL;
    (void)state;
    nest(bytes, DEEP);
    redisReader *reader = read_some(bytes);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    const torc_redis_reply *r = reply;
    for (int i = 0; i < DEEP; i++) r = torc_redis_element(r, 0);
    assert_int_equal(torc_redis_integer(r), 7);
    redis_reply_free(reply);
    redisReaderFree(reader);
    nest(bytes, DEEP + 1);
    expect_no_reply(bytes);
    nest(bytes, 1000);
    expect_no_reply(bytes);
}

/* RESP3, which newer versions of hiredis read; by itself and within an array. */
static void test_another_protocol(void **state)
{
    static const char *const replies[] = {
        ",1.5",           "#t",      "_", "(12345678901234567890", "=7\r\ntxt:abc", "~1\r\n:1",
        "%1\r\n:1\r\n:2", ">1\r\n:1"};
    char bytes[64];
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        snprintf(bytes, sizeof bytes, "%s\r\n", replies[i]);
        expect_no_reply(bytes);
        snprintf(bytes, sizeof bytes, "*2\r\n:1\r\n%s\r\n", replies[i]);
        expect_no_reply(bytes);
    }
    void *reply = NULL;
    redisReader *reader = read_some("*2\r\n$-1\r\n*-1\r\n");
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(torc_redis_type(torc_redis_element(reply, i)), TORC_REDIS_NIL);
    redis_reply_free(reply);
    redisReaderFree(reader);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_of_a_part),
        cmocka_unit_test(test_nested_arrays),
        cmocka_unit_test(test_another_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
