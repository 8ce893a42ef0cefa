#include "client/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct redis_kind kind(const char *command)
{
    char *bytes = NULL;
    int len = redisFormatCommand(&bytes, command);
    assert_true(len > 0);
    struct redis_kind k = redis_kind_of(bytes, (size_t)len);
    redisFreeCommand(bytes);
    return k;
}

static void test_ordinary(void **state)
{
    static const char *const commands[] = {"GET k",       "PING",          "SET BLPOP MULTI",
                                           "CLIENT ID",   "CLIENT",        "XREAD STREAMS BLOCK 0",
                                           "LPOP k",      "XREAD",         "XREADGROUP GROUP BLOCK",
                                           "SETEX k 1 v", "MULTIPLE",      "XREADGROUP",
                                           "BLPOPS",      "XREAD STREAMS", "CLIENT REPLYING",
                                           "SCRIPT LOAD", "SCRIPT",        "SET SCRIPT DEBUG",
                                           "DEBUG REPLY", "CLUSTER INFO",  "CLIENT SETNAME REPLY"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct redis_kind k = kind(commands[i]);
        if (k.refused || k.blocks) fail_msg("%s", commands[i]);
    }
    assert_false(kind("XREADGROUP GROUP BLOCK BLOCK STREAMS s >").blocks);
    assert_false(kind("XREADGROUP NOACK group BLOCK STREAMS COUNT 1 STREAMS BLOCK >").blocks);
    assert_false(kind("XREAD COUNT BLOCK STREAMS s 0").blocks); /* no number */
    assert_false(kind("CLIENT PAUSE 0").refused);
}

static void test_blocking(void **state)
{
    static const struct {
        const char *command;
        enum redis_back back;
    } cases[] = {
        {"BLPOP k 0", BACK_LPUSH},
        {"brpop k 0", BACK_RPUSH},
        {"BLMOVE a b LEFT LEFT 0", BACK_NOTHING},
        {"BRPOPLPUSH a b 0", BACK_NOTHING},
        {"BLMPOP 0 2 RIGHT k LEFT", BACK_LPUSH},
        {"BLMPOP 0 2 LEFT k right COUNT 2", BACK_RPUSH},
        {"BLMPOP 0 9999 k RIGHT LEFT", BACK_LPUSH},
        {"BLMPOP", BACK_LPUSH},
        {"BZPOPMIN k 0", BACK_ZADD},
        {"BZPOPMAX k 0", BACK_ZADD},
        {"BZMPOP 0 1 k MIN", BACK_ZADD},
        {"XREAD COUNT 1 block 0 STREAMS s 0", BACK_NOTHING},
        {"XREADGROUP GROUP g c BLOCK 0 STREAMS s >", BACK_NOTHING},
        {"XREADGROUP BLOCK 0 GROUP g c STREAMS s >", BACK_NOTHING},
        {"xreadgroup noack count 1 block 0 group g c streams s >", BACK_NOTHING},
        {"XREADGROUP GROUP STREAMS STREAMS NOACK BLOCK 0 STREAMS s >", BACK_NOTHING},
        {"XREADGROUP CLAIM 100 GROUP g c BLOCK 0 STREAMS s >", BACK_NOTHING}, /* of Redis 8.4 */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_kind k = kind(cases[i].command);
        if (!k.blocks || k.refused || k.back != cases[i].back) fail_msg("%s", cases[i].command);
    }
}

static void test_refused(void **state)
{
    static const char *const commands[] = {
        "MULTI",
        "exec",
        "WATCH k",
        "SELECT 1",
        "CLIENT reply OFF",
        "WAIT 1 0",
        "REPLCONF ACK 0",
        "replconf GETACK *",
        "SCRIPT DEBUG YES",
        "script debug sync",
        "READONLY",
        "READWRITE",
        "ASKING",
        "POST / HTTP/1.1",
        "Host: x",
        "CLIENT TRACKING ON",
        "CLIENT CACHING YES",
        "CLIENT NO-TOUCH ON",
        "CLIENT NO-EVICT ON",
        "CLIENT IMPORT-SOURCE ON",
        "CLIENT CAPA redirect",
        "CLUSTER SYNCSLOTS",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (!kind(commands[i]).refused) fail_msg("%s", commands[i]);
    assert_true(redis_kind_of("*0\r\n", 4).refused);
    assert_true(redis_kind_of("*1\r\n$0\r\n\r\n", 10).refused);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary),
        cmocka_unit_test(test_blocking),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
