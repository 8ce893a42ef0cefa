/* The text of each kind of error sample. */

#include "load/error_sample.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct error_sample sample;
static struct request root, nope;
static struct sock_addr four, six;

static int set_up(void **state)
{
    (void)state;
    sample = (struct error_sample){0};
    return 0;
}

static void is(const char *want)
{
    assert_true(sample.at > 0);
    assert_string_equal(sample.text, want);
}

static void status_samples_name_the_request(void **state)
{
    (void)state;
    error_sample_status(&sample, &nope, 404, 0);
    is("404 for GET /nope");
    error_sample_status(&sample, &nope, 200, 404);
    is("200 for GET /nope, expected 404");
}

static struct body_difference difference;

/* The sample of a body of `length` bytes whose `piece` at `from` is the first one with a
 * difference. */
static void body(const char *want, uint64_t from, const char *piece, uint64_t length)
{
    body_difference_find(&difference, slice_str(want), from, slice_str(piece));
    error_sample_body(&sample, &root, &difference, slice_str(want), length);
}

static void body_samples_show_the_first_difference(void **state)
{
    (void)state;
    body("hellO", 0, "hello", 5);
    is("GET /: byte 5 differs: got \"o\", expected \"O\"");
    body("hello world", 6, "w\"rld", 11);
    is("GET /: byte 8 differs: got \"\\\"rld\", expected \"orld\"");
    body("hello world", 0, "jello world", 11);
    is("GET /: byte 1 differs: got \"jello world\", expected \"hello world\"");
    body("hello", 0, "help!", 20);
    is("GET /: byte 4 differs: got \"p!\", expected \"lo\"; got 20 bytes, expected 5");
    body("hello", 0, "hello!", 6);
    is("GET /: got 6 bytes, expected 5");
    body("hello", 5, "!", 6);
    is("GET /: got 6 bytes, expected 5");
    body("hello", 7, "!", 8);
    is("GET /: got 8 bytes, expected 5");
    body("", 0, "x", 1);
    is("GET /: got 1 byte, expected 0");
    error_sample_body(&sample, &root, NULL, SLICE("hello"), 1024);
    is("GET /: got 1024 bytes, expected 5");
}

static void long_bodies_are_cut_to_an_excerpt(void **state)
{
    char want[500], piece[500];
    (void)state;
    memset(want, '\x01', sizeof want);
    memset(piece, '\x02', sizeof piece);
    body_difference_find(&difference, slice_of(want, 500), 0, slice_of(piece, 500));
    assert_int_equal(difference.len, EXCERPT);
    error_sample_body(&sample, &root, &difference, slice_of(want, 500), 500);
    assert_true(strlen(sample.text) < sizeof sample.text);
    assert_non_null(strstr(sample.text, "byte 1 differs: got \"\\x02\\x02"));
}

static void framing_samples_show_the_bytes_around_the_problem(void **state)
{
    char long_one[200];
    (void)state;
    error_sample_framing(&sample, &root, "Expected HTTP/", SLICE("garbage\r\n\r\n"), 0);
    is("GET /: Expected HTTP/: \"garbage\\r\\n\\r\\n\"");
    error_sample_framing(&sample, &root, "Bad", SLICE("x"),
                         SIZE_MAX); /* a position beyond the bytes */
    is("GET /: Bad: \"x\"");
    error_sample_unsolicited(&sample, &four, SLICE("\x80"));
    is("127.0.0.1:80 sent unsolicited data: \"\\x80\"");
    memset(long_one, 'a', sizeof long_one);
    long_one[150] = 'b';
    error_sample_framing(&sample, &root, "Bad", slice_of(long_one, sizeof long_one), 150);
    is("GET /: Bad: \"aaaaaaaaaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"");
}

static void connection_samples_name_the_server(void **state)
{
    (void)state;
    error_sample_connect(&sample, &six, ECONNREFUSED);
    is("[::1]:80: Connection refused");
    error_sample_reset(&sample, &six, &root, ECONNRESET, false);
    is("[::1]:80: Connection reset by peer before the reply to GET /");
    error_sample_reset(&sample, &six, &root, 0, true);
    is("[::1]:80: Connection closed within the reply to GET /");
    error_sample_timeout(&sample, &six, &root, 1500 * NS_PER_MS, false);
    is("[::1]:80: no reply to GET / within 1500ms");
    error_sample_timeout(&sample, &six, &root, 10 * NS_PER_S, true);
    is("[::1]:80: incomplete reply to GET / within 10s");
}

static void a_kind_that_has_its_sample_is_not_described(void **state)
{
    (void)state;
    error_sample_status(NULL, &root, 404, 0);
    error_sample_connect(NULL, &four, ECONNREFUSED);
    assert_int_equal(sample.at, 0);
}

/* Of the leak sanitizer: what a request allocates is never freed. */
void __lsan_disable(void) __attribute__((weak));

static int make_context(void **state)
{
    char why[120];
    uint32_t sequences = 0;
    (void)state;
    return request_raw(&root, SLICE("GET / HTTP/1.1\r\n\r\n"), &sequences, why, sizeof why) &&
                   request_raw(&nope, SLICE("GET /nope HTTP/1.1\r\n\r\n"), &sequences, why,
                               sizeof why) &&
                   sock_addr_parse("127.0.0.1:80", &four) && sock_addr_parse("[::1]:80", &six)
               ? 0
               : -1;
}

int main(void)
{
    if (__lsan_disable) __lsan_disable();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(status_samples_name_the_request, set_up),
        cmocka_unit_test_setup(body_samples_show_the_first_difference, set_up),
        cmocka_unit_test_setup(long_bodies_are_cut_to_an_excerpt, set_up),
        cmocka_unit_test_setup(framing_samples_show_the_bytes_around_the_problem, set_up),
        cmocka_unit_test_setup(connection_samples_name_the_server, set_up),
        cmocka_unit_test_setup(a_kind_that_has_its_sample_is_not_described, set_up),
    };
    return cmocka_run_group_tests(tests, make_context, NULL);
}
