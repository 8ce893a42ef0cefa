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

static void feed(struct redis_reader *rd, const char *bytes, size_t n)
{
    char *room = redis_reader_room(rd, n + 1);
    assert_non_null(room);
    memcpy(room, bytes, n);
    redis_reader_came(rd, n);
}

static void put(char *out, const torc_redis_reply *r)
{
    static const char marks[] = "_+-:$*";
    torc_slice text = torc_redis_text(r);
    size_t n = torc_redis_elements(r);
    out += strlen(out);
    out +=
        sprintf(out, "%c%.*s", marks[torc_redis_type(r)], (int)text.len, text.len ? text.ptr : "");
    if (torc_redis_type(r) == TORC_REDIS_INTEGER)
        sprintf(out, "%lld ", (long long)torc_redis_integer(r));
    else if (torc_redis_type(r) == TORC_REDIS_ARRAY)
        sprintf(out, "%zu ", n);
    else
        sprintf(out, " ");
    for (size_t i = 0; i < n; i++) put(out, torc_redis_element(r, i));
}

/* Reads `bytes` in pieces of this size, and writes what comes of them. */
static int read_all(const char *bytes, size_t piece, char *out)
{
    struct redis_reader rd = {0};
    torc_redis_reply *r;
    int err = 0;
    *out = '\0';
    for (size_t left = strlen(bytes); left > 0 && !err; bytes += piece) {
        if (piece > left) piece = left;
        feed(&rd, bytes, piece);
        left -= piece;
        while (!(err = redis_reader_next(&rd, &r)) && r) {
            put(out, r);
            if (r->too_deep) strcat(out, "(too deep) ");
            strcat(out, "\n");
            redis_reply_free(r);
        }
        assert_true(!err || !r);
    }
    redis_reader_clear(&rd);
    return err;
}

static void expect(const char *bytes, const char *replies)
{
    static char out[16384];
    for (size_t piece = 1; piece <= strlen(bytes); piece = piece < 4 ? piece + 1 : 2 * piece) {
        assert_int_equal(read_all(bytes, piece, out), 0);
        assert_string_equal(out, replies);
    }
    assert_int_equal(read_all(bytes, strlen(bytes), out), 0);
    assert_string_equal(out, replies);
}

static void test_replies(void **state)
{
    (void)state;
    expect("+OK\r\n-ERR a b\r\n:7\r\n", "+OK \n-ERR a b \n:7 \n");
    expect("+\r\n$0\r\n\r\n$2\r\n\r\n\r\n", "+ \n$ \n$\r\n \n");
    expect("+a\rb\nc\r\n", "+a\rb\nc \n");
    expect("$-1\r\n*-1\r\n*0\r\n", "_ \n_ \n*0 \n");
    expect(":-9223372036854775808\r\n:9223372036854775807\r\n",
           ":-9223372036854775808 \n:9223372036854775807 \n");
    expect("*3\r\n*2\r\n:1\r\n*0\r\n$1\r\na\r\n*1\r\n*-1\r\n+b\r\n", "*3 *2 :1 *0 $a *1 _ \n+b \n");
}

static void expect_no_reply(const char *bytes)
{
    char out[256];
    for (size_t piece = 1; piece <= strlen(bytes); piece++)
        if (read_all(bytes, piece, out) != -EPROTO || *out) fail_msg("%s is a reply", bytes);
}

static void test_malformed(void **state)
{
    static const char *const all[] = {
        "PONG\r\n",      "\r\n",
        ":\r\n",         ":-\r\n",
        ":1a\r\n",       ":9223372036854775808\r\n",
        "$\r\n",         "$-2\r\n",
        "$a\r\n",        "$1\r\nab\r\n",
        "*\r\n",         ":-9223372036854775809\r\n",
        "*-2\r\n",       "*2147483648\r\n",
        "*2\r\n:1\r\nx", "*99999999999999999999\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) expect_no_reply(all[i]);
}

/* RESP3, by itself and within an array. */
static void test_another_protocol(void **state)
{
    static const char *const replies[] = {
        ",1.5",           "#t",      "_", "(12345678901234567890", "=7\r\ntxt:abc", "~1\r\n:1",
        "%1\r\n:1\r\n:2", ">1\r\n:1"};
    char bytes[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        snprintf(bytes, sizeof bytes, "%s\r\n", replies[i]);
        expect_no_reply(bytes);
        snprintf(bytes, sizeof bytes, "*2\r\n:1\r\n%s\r\n", replies[i]);
        expect_no_reply(bytes);
    }
}

/* ":1" within arrays of two, behind an element, before one. */
static void nest(char *out, int arrays)
{
    for (int i = 0; i < arrays; i++) out += sprintf(out, "*3\r\n:0\r\n");
    out += sprintf(out, ":1\r\n");
    for (int i = 0; i < arrays; i++) out += sprintf(out, "$1\r\na\r\n");
    sprintf(out, "+next\r\n");
}

static void nested(char *out, int arrays, const char *innermost)
{
    for (int i = 0; i < arrays; i++) out += sprintf(out, "*3 :0 ");
    out += sprintf(out, "%s ", innermost);
    for (int i = 0; i < arrays; i++) out += sprintf(out, "$a ");
    sprintf(out, "%s\n+next \n", *innermost == '_' ? "(too deep) " : "");
}

static void test_nested_arrays(void **state)
{
    static char bytes[65536], want[8192];
    static const int too_deep[] = {REDIS_DEPTH + 1, REDIS_DEPTH + 2, 1000, 3000};
    (void)state;
    for (int arrays = 7; arrays <= REDIS_DEPTH; arrays += 19) {
        nest(bytes, arrays);
        nested(want, arrays, ":1");
        expect(bytes, want);
    }
    for (size_t i = 0; i < ARRAY_LEN(too_deep); i++) {
        nest(bytes, too_deep[i]);
        nested(want, REDIS_DEPTH, "_");
        expect(bytes, want);
    }
    /* An array without elements has no depth of its own. */
    for (int i = 0; i < REDIS_DEPTH; i++) sprintf(bytes + 4 * (size_t)i, "*1\r\n");
    strcat(bytes, "*0\r\n");
    assert_int_equal(read_all(bytes, 1, want), 0);
    assert_null(strstr(want, "too deep"));
    assert_non_null(strstr(want, "*1 *0 \n"));
}

/* What has been read is not kept, nor is a large buffer. */
static void test_buffer(void **state)
{
    enum { LARGE = 1 << 20 };
    struct redis_reader rd = {0};
    torc_redis_reply *r;
    char *text = malloc(LARGE);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', LARGE);
    feed(&rd, "$1048576\r\n", 10);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(redis_reader_next(&rd, &r), 0);
        assert_null(r);
        feed(&rd, text, LARGE / 2);
    }
    feed(&rd, "\r\n:1\r\n", 6);
    assert_int_equal(redis_reader_next(&rd, &r), 0);
    assert_int_equal(torc_redis_text(r).len, LARGE);
    redis_reply_free(r);
    assert_int_equal(redis_reader_next(&rd, &r), 0);
    assert_int_equal(torc_redis_integer(r), 1);
    redis_reply_free(r);
    assert_int_equal(redis_reader_next(&rd, &r), 0);
    assert_null(r);
    assert_int_equal(rd.size, 0);
    for (int i = 0; i < 1000; i++) {
        feed(&rd, ":1\r\n:", 5);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(redis_reader_next(&rd, &r), 0);
            redis_reply_free(r);
        }
        feed(&rd, "2\r\n", 3);
        assert_int_equal(redis_reader_next(&rd, &r), 0);
        assert_int_equal(torc_redis_integer(r), 2);
        redis_reply_free(r);
    }
    assert_true(rd.size < 1024);
    redis_reader_clear(&rd);
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),          cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_another_protocol), cmocka_unit_test(test_nested_arrays),
        cmocka_unit_test(test_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
