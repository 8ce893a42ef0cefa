#include "http/status.h"

#include "torc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void reasons(void **state)
{
    (void)state;
    assert_true(slice_eq(torc_reason(100), SLICE("Continue")));
    assert_true(slice_eq(http_reason(200), SLICE("OK")));
    assert_true(slice_eq(http_reason(404), SLICE("Not Found")));
    assert_true(slice_eq(http_reason(413), SLICE("Content Too Large")));
    assert_true(slice_eq(http_reason(416), SLICE("Range Not Satisfiable")));
    assert_true(slice_eq(http_reason(431), SLICE("Request Header Fields Too Large")));
    assert_true(slice_eq(http_reason(505), SLICE("HTTP Version Not Supported")));
    assert_true(slice_eq(http_reason(511), SLICE("Network Authentication Required")));
}

/* Each line consists of code and reason; the number of registered codes is checked. */
static void lines(void **state)
{
    (void)state;
    int registered = 0;
    for (int status = 0; status < 1000; status++) {
        slice line = http_status_line(status), reason = http_reason(status);
        if (line.len == 0) {
            assert_true(slice_eq(reason, SLICE("Unknown")));
            continue;
        }
        registered++;
        char want[80];
        int n = snprintf(want, sizeof want, "HTTP/1.1 %d %.*s\r\n", status, (int)reason.len,
                         reason.ptr);
        assert_true(slice_eq(line, slice_of(want, (size_t)n)));
        assert_true(reason.len >= 2);
        assert_false(slice_eq(reason, SLICE("Unknown")));
    }
    assert_int_equal(registered, 4 + 10 + 8 + 28 + 11);
}

static void not_registered(void **state)
{
    (void)state;
    static const int none[] = {0,   -1,  99,  104, 199, 209, 306, 309,       418,
                               419, 452, 499, 509, 512, 599, 999, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        assert_int_equal(http_status_line(none[i]).len, 0);
        assert_true(slice_eq(http_reason(none[i]), SLICE("Unknown")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons),
        cmocka_unit_test(lines),
        cmocka_unit_test(not_registered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
