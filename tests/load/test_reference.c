#include "load/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\n"
#define OTHER_DATE                                                                                 \
    "HTTP/1.1 200 OK\r\nDate: Mon, 07 Nov 1994 09:00:00 GMT\r\nContent-Length: 2\r\n\r\n"

static struct reference reference;

static int tear_down(void **state)
{
    (void)state;
    reference_free(&reference);
    reference = (struct reference){0};
    return 0;
}

static void learn(const char *text, bool keep_alive)
{
    struct response_parser parsed = {.keep_alive = keep_alive, .status = 200};
    reference_learn(&reference, slice_str(text), &parsed);
}

/* In memory that ends with the bytes, so that a sanitizer sees what is read beyond them. */
static uint32_t match(const char *text)
{
    size_t n = strlen(text);
    char *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, text, n);
    uint32_t len = reference_match(&reference, slice_of(copy, n));
    free(copy);
    return len;
}

static void nothing_matches_without_a_reference(void **state)
{
    (void)state;
    assert_int_equal(match(HEAD "ok"), 0);
}

static void equal_bytes_match(void **state)
{
    (void)state;
    learn(HEAD "ok", true);
    assert_int_equal(match(HEAD "ok"), strlen(HEAD "ok"));
    assert_int_equal(match(HEAD "okHTTP/1.1 "), strlen(HEAD "ok")); /* with the next reply */
    assert_int_equal(reference.status, 200);
}

static void only_the_date_may_differ(void **state)
{
    (void)state;
    learn(HEAD "ok", true);
    assert_int_equal(match(OTHER_DATE "ok"), strlen(HEAD "ok"));
    assert_int_equal(match(HEAD "oK"), 0);
    assert_int_equal(match("HTTP/1.0" OTHER_DATE "ok"), 0);
    assert_int_equal(match(HEAD "o"), 0); /* incomplete */
    learn("HTTP/1.1 204 No Content\r\n\r\n", true);
    assert_int_equal(match("HTTP/1.1 204 No Content\r\n\r\n"), 27);
    assert_int_equal(match("HTTP/1.1 204 No content\r\n\r\n"), 0);
}

/* A Date of another length is compared like every other field, and one in the body is no field. */
static void other_dates_are_compared(void **state)
{
    (void)state;
    learn("HTTP/1.1 200 OK\r\nDate: today, as everyone can see\r\n\r\n", true);
    assert_int_equal(match("HTTP/1.1 200 OK\r\nDate: today, as everyone may see\r\n\r\n"), 0);
    learn("HTTP/1.1 200 OK\r\n\r\n\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n", true);
    assert_int_equal(match("HTTP/1.1 200 OK\r\n\r\n\r\nDate: Mon, 07 Nov 1994 09:00:00 GMT\r\n"),
                     0);
}

static void replies_before_a_close_are_not_learnt(void **state)
{
    (void)state;
    learn(HEAD "ok", false);
    assert_int_equal(match(HEAD "ok"), 0);
}

static void large_replies_are_not_learnt(void **state)
{
    static char large[20000];
    (void)state;
    memset(large, 'x', sizeof large - 1);
    learn(large, true);
    assert_int_equal(match(large), 0);
}

static void replies_that_always_differ_are_not_compared(void **state)
{
    char text[40];
    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n\r\n%d", i);
        learn(text, true);
        if (i < 10) assert_int_equal(match(text), strlen(text));
    }
    assert_int_equal(match(text), 0);
    assert_int_equal(reference.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_matches_without_a_reference, tear_down),
        cmocka_unit_test_teardown(equal_bytes_match, tear_down),
        cmocka_unit_test_teardown(only_the_date_may_differ, tear_down),
        cmocka_unit_test_teardown(other_dates_are_compared, tear_down),
        cmocka_unit_test_teardown(replies_before_a_close_are_not_learnt, tear_down),
        cmocka_unit_test_teardown(large_replies_are_not_learnt, tear_down),
        cmocka_unit_test_teardown(replies_that_always_differ_are_not_compared, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
