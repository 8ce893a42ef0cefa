/* The first error of each kind, in words. */

#include "load/first.h"
#include "load/request.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct first_error first;

static int set_up(void **state)
{
    (void)state;
    first = (struct first_error){0};
    return 0;
}

static void is(const char *want)
{
    assert_true(first.at > 0);
    assert_string_equal(first.text, want);
}

static void bytes_that_are_no_text(void **state)
{
    char text[40];
    (void)state;
    escape(SLICE("plain ~"), text, sizeof text);
    assert_string_equal(text, "plain ~");
    escape(SLICE("a\r\n\t\"\\\0\x7f\xff"), text, sizeof text);
    assert_string_equal(text, "a\\r\\n\\t\\\"\\\\\\x00\\x7f\\xff");
    escape(SLICE(""), text, sizeof text);
    assert_string_equal(text, "");
}

/* Whatever the room, nothing is written beyond it, and no escape is cut in two. */
static void text_that_does_not_fit(void **state)
{
    char text[16];
    (void)state;
    escape(SLICE("123456789"), text, 10);
    assert_string_equal(text, "123456789");
    escape(SLICE("1234567890"), text, 10);
    assert_string_equal(text, "123456...");
    escape(SLICE("12345\xff\xff"), text, 10);
    assert_string_equal(text, "12345...");
    escape(SLICE("\xff\xff\xff"), text, 12);
    assert_string_equal(text, "\\xff\\xff...");
    for (size_t size = 9; size < sizeof text; size++) {
        text[size] = '#';
        escape(SLICE("a\xff"
                     "b\n\xff\n\xff\n\xff\n\xff"),
               text, size);
        assert_true(strlen(text) < size);
        assert_string_equal(text + strlen(text) - 3, "...");
        assert_int_equal(text[size], '#');
    }
}

static void statuses(void **state)
{
    (void)state;
    first_status(&first, "GET /nope", 404, 0);
    is("404 for GET /nope");
    first_status(&first, "GET /nope", 200, 404);
    is("200 for GET /nope, 404 expected");
}

static struct difference difference;

/* What `piece`, after bytes that were right, makes of a body that is `came` bytes in all. */
static void body(const char *want, uint64_t from, const char *piece, uint64_t came)
{
    difference_find(&difference, slice_str(want), from, slice_str(piece));
    first_body(&first, "GET /", &difference, slice_str(want), came);
}

static void bodies(void **state)
{
    (void)state;
    body("hellO", 0, "hello", 5);
    is("GET /: byte 5 differs: \"o\" came for \"O\"");
    body("hello world", 6, "w\"rld", 11);
    is("GET /: byte 8 differs: \"\\\"rld\" came for \"orld\"");
    body("hello world", 0, "jello world", 11);
    is("GET /: byte 1 differs: \"jello world\" came for \"hello world\"");
    body("hello", 0, "help!", 20);
    is("GET /: byte 4 differs: \"p!\" came for \"lo\"; 20 bytes came, 5 expected");
    body("hello", 0, "hello!", 6);
    is("GET /: 6 bytes came, 5 expected");
    body("hello", 5, "!", 6);
    is("GET /: 6 bytes came, 5 expected");
    body("hello", 7, "!", 8);
    is("GET /: 8 bytes came, 5 expected");
    body("", 0, "x", 1);
    is("GET /: 1 byte came, 0 expected");
    first_body(&first, "GET /", NULL, SLICE("hello"), 1024);
    is("GET /: 1024 bytes came, 5 expected");
}

static void a_body_that_is_long(void **state)
{
    char want[500], piece[500];
    (void)state;
    memset(want, '\x01', sizeof want);
    memset(piece, '\x02', sizeof piece);
    difference_find(&difference, slice_of(want, 500), 0, slice_of(piece, 500));
    assert_int_equal(difference.len, EXCERPT);
    first_body(&first, "GET /", &difference, slice_of(want, 500), 500);
    assert_true(strlen(first.text) < sizeof first.text);
    assert_non_null(strstr(first.text, "byte 1 differs: \"\\x02\\x02"));
}

static void framings(void **state)
{
    char long_one[200];
    (void)state;
    first_framing(&first, "GET /", "Expected HTTP/", SLICE("garbage\r\n\r\n"), 0);
    is("GET /: Expected HTTP/: \"garbage\\r\\n\\r\\n\"");
    first_framing(&first, "GET /", "Bad", SLICE("x"),
                  SIZE_MAX); /* wherever the parser says that it is */
    is("GET /: Bad: \"x\"");
    first_unasked(&first, "127.0.0.1:80", SLICE("\x80"));
    is("127.0.0.1:80 sent what nobody asked for: \"\\x80\"");
    memset(long_one, 'a', sizeof long_one);
    long_one[150] = 'b';
    first_framing(&first, "GET /", "Bad", slice_of(long_one, sizeof long_one), 150);
    is("GET /: Bad: \"aaaaaaaaaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"");
}

static void connections(void **state)
{
    (void)state;
    first_connect(&first, "[::1]:80", ECONNREFUSED);
    is("[::1]:80: Connection refused");
    first_reset(&first, "[::1]:80", "GET /", ECONNRESET, false);
    is("[::1]:80: Connection reset by peer before the reply to GET /");
    first_reset(&first, "[::1]:80", "GET /", 0, true);
    is("[::1]:80: Connection closed within the reply to GET /");
    first_timeout(&first, "[::1]:80", "GET /", 1500 * NS_PER_MS, false);
    is("[::1]:80: no reply to GET / within 1500ms");
    first_timeout(&first, "[::1]:80", "GET /", 10 * NS_PER_S, true);
    is("[::1]:80: no whole reply to GET / within 10s");
}

/* ---- requests ---- */

static void raw(const char *bytes, const char *want)
{
    char line[REQUEST_LINE], why[120];
    uint32_t sequences = 0;
    struct request r;
    assert_true(request_raw(&r, slice_str(bytes), &sequences, why, sizeof why));
    request_line(&r, line);
    assert_string_equal(line, want);
    for (uint32_t i = 0; i < 2; i++) free((i ? &r.body : &r.head)->part);
    free((void *)(uintptr_t)r.bytes.ptr);
}

static void request_lines(void **state)
{
    char long_one[400], want[REQUEST_LINE];
    (void)state;
    raw("GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b");
    raw("GET /{rand:1:6}/{seq:9} HTTP/1.1\r\n\r\n", "GET /{rand:1:6}/{seq:9}");
    raw("GET / HTTP/1.1\nA: b\r\n\r\n", "GET /");
    raw("GET /a b", "GET /a b");
    raw("\x01nonsense", "\\x01nonsense");
    raw("\r\n", "");
    memset(long_one, 'a', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    memset(want, 'a', sizeof want);
    memcpy(want + sizeof want - 4, "...", 4);
    raw(long_one, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(text_that_does_not_fit),
        cmocka_unit_test_setup(statuses, set_up),
        cmocka_unit_test_setup(bodies, set_up),
        cmocka_unit_test_setup(a_body_that_is_long, set_up),
        cmocka_unit_test_setup(framings, set_up),
        cmocka_unit_test_setup(connections, set_up),
        cmocka_unit_test(request_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
