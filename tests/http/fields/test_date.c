#include "http/fields/date.h"

#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define EXAMPLE 784111777 /* of RFC 9110, 5.6.7 */

static void formats(time_t t, const char *want)
{
    char out[HTTP_DATE_LEN + 1];
    out[HTTP_DATE_LEN] = '#';
    http_date_format(t, out);
    assert_int_equal(out[HTTP_DATE_LEN], '#');
    assert_true(slice_eq(slice_of(out, HTTP_DATE_LEN), slice_str(want)));
}

static void format(void **state)
{
    (void)state;
    formats(EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT");
    formats(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    formats(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    formats(951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
    formats(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    formats(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
    formats(INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void format_clamps_to_the_supported_years(void **state)
{
    (void)state;
    formats(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
    formats(INT64_MIN, "Thu, 01 Jan 1970 00:00:00 GMT");
    formats(INT64_C(253402300800), "Fri, 31 Dec 9999 23:59:59 GMT");
    formats(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
}

/* Compared with the C library's calendar: every day from 1970 to 2110 and then every 13th to 9999,
 * at varying times of day, in each of the three formats. */
static void agrees_with_libc(void **state)
{
    (void)state;
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (int64_t day = 0; day <= 2932896; day += day < 51500 ? 1 : 13) {
        time_t t = day * 86400 + day * 7919 % 86400, back = -1;
        struct tm tm;
        char want[64], got[HTTP_DATE_LEN];
        assert_non_null(gmtime_r(&t, &tm));
        const char *name = days[tm.tm_wday], *month = months[tm.tm_mon];
        int n = snprintf(want, sizeof want, "%.3s, %02d %s %04d %02d:%02d:%02d GMT", name,
                         tm.tm_mday, month, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        http_date_format(t, got);
        if (n != HTTP_DATE_LEN || memcmp(got, want, HTTP_DATE_LEN) != 0)
            fail_msg("%.29s is not %s", got, want);
        if (!http_date_parse(slice_of(want, (size_t)n), &back) || back != t)
            fail_msg("%s read as %lld", want, (long long)back);

        n = snprintf(want, sizeof want, "%.3s %s %2d %02d:%02d:%02d %04d", name, month, tm.tm_mday,
                     tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
        if (!http_date_parse(slice_of(want, (size_t)n), &back) || back != t)
            fail_msg("%s read as %lld", want, (long long)back);

        n = snprintf(want, sizeof want, "%s, %02d-%s-%02d %02d:%02d:%02d GMT", name, tm.tm_mday,
                     month, tm.tm_year % 100, tm.tm_hour, tm.tm_min, tm.tm_sec);
        if (!http_date_parse_at(slice_of(want, (size_t)n), t, &back) || back != t)
            fail_msg("%s read as %lld", want, (long long)back);
    }
}

static void parses(const char *s, time_t want)
{
    time_t t = -7;
    if (!http_date_parse(slice_str(s), &t)) fail_msg("%s rejected", s);
    assert_int_equal(t, want);
}

static void parse(void **state)
{
    (void)state;
    parses("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE);
    parses("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE);
    parses("Sun Nov  6 08:49:37 1994", EXAMPLE);
    parses("Sun Nov 06 08:49:37 1994", EXAMPLE);
    parses("Wed Nov 16 08:49:37 1994", EXAMPLE + 10 * 86400);
    parses("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    parses("Wed, 31 Dec 1969 23:59:59 GMT", -1);
    parses("Sat, 01 Jan 0000 00:00:00 GMT", INT64_C(-62167219200));
    parses("Tue, 29 Feb 0000 00:00:00 GMT", INT64_C(-62162121600));
    parses("Wed, 01 Mar 0000 00:00:00 GMT", INT64_C(-62162035200));
    parses("Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799));
    parses("Tue, 30 Jun 2015 23:59:60 GMT", 1435708800); /* a leap second */
    parses("Mon, 06 Nov 1994 08:49:37 GMT", EXAMPLE);    /* the weekday is not checked */
}

static void malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "Sun",
        "Sun,",
        "Sun ",
        "0",
        "784111777",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GM",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 006 Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08-49-37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 32 Dec 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 29 Feb 2100 08:49:37 GMT",
        "Sun, 30 Feb 2024 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 06  1994 08:49:37 GMT",
        "Sunday, 06--94 08:49:37 GMT",
        "Sun   6 08:49:37 1994",
        "Sux, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 6-Nov-94 08:49:37 GMT",
        "Sunda, 06-Nov-94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37",
        "Sunday, 06-Nov-94 08:49:37 1994",
        "Sunday, 31-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov   6 08:49:37 1994",
        "Sun Nov  16 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 1994 ",
        "Sun Nov  6 08:49:37 GMT 1994",
        "Sun Nov  0 08:49:37 1994",
        "Sun Feb 30 08:49:37 1994",
        "Sunday Nov  6 08:49:37 1994",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        time_t t = 7;
        if (http_date_parse(slice_str(bad[i]), &t)) fail_msg("'%s' accepted", bad[i]);
        assert_int_equal(t, 7);
    }
    time_t t = 7;
    assert_false(http_date_parse((slice){NULL, 0}, &t));
    assert_false(http_date_parse(SLICE("Sun, 06 Nov 1994 08:49:37 GMT\0"), &t));
    assert_int_equal(t, 7);
}

static void two_digits(const char *now, const char *s, const char *want)
{
    time_t now_t, want_t, got = -7;
    assert_true(http_date_parse(slice_str(now), &now_t));
    assert_true(http_date_parse(slice_str(want), &want_t));
    assert_true(http_date_parse_at(slice_str(s), now_t, &got));
    if (got != want_t) fail_msg("%s at %s is not %s", s, now, want);
}

static void two_digit_years(void **state)
{
    (void)state;
    const char *now = "Wed, 01 May 2024 12:00:00 GMT";
    two_digits(now, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT");
    two_digits(now, "Sunday, 06-Nov-24 08:49:37 GMT", "Sun, 06 Nov 2024 08:49:37 GMT");
    two_digits(now, "Sunday, 06-Nov-00 08:49:37 GMT", "Sun, 06 Nov 2000 08:49:37 GMT");
    two_digits(now, "Sunday, 29-Feb-00 08:49:37 GMT", "Sun, 29 Feb 2000 08:49:37 GMT");
    two_digits(now, "Sunday, 06-Nov-73 08:49:37 GMT", "Sun, 06 Nov 2073 08:49:37 GMT");
    two_digits(now, "Sunday, 06-Nov-75 08:49:37 GMT", "Sun, 06 Nov 1975 08:49:37 GMT");
    /* Exactly 50 years from now is not too far. */
    two_digits(now, "Sunday, 01-May-74 12:00:00 GMT", "Sun, 01 May 2074 12:00:00 GMT");
    two_digits(now, "Sunday, 01-May-74 12:00:01 GMT", "Sun, 01 May 1974 12:00:01 GMT");

    now = "Fri, 01 Jan 2060 00:00:00 GMT";
    two_digits(now, "Sunday, 06-Nov-05 00:00:00 GMT", "Sun, 06 Nov 2105 00:00:00 GMT");
    two_digits(now, "Sunday, 06-Nov-20 00:00:00 GMT", "Sun, 06 Nov 2020 00:00:00 GMT");
    two_digits(now, "Sunday, 06-Nov-99 00:00:00 GMT", "Sun, 06 Nov 2099 00:00:00 GMT");

    now = "Thu, 01 Jan 1970 00:00:00 GMT";
    two_digits(now, "Sunday, 06-Nov-94 00:00:00 GMT", "Sun, 06 Nov 1994 00:00:00 GMT");
    two_digits(now, "Sunday, 06-Nov-19 00:00:00 GMT", "Sun, 06 Nov 2019 00:00:00 GMT");
    two_digits(now, "Sunday, 06-Nov-21 00:00:00 GMT", "Sun, 06 Nov 1921 00:00:00 GMT");

    /* The year means 2100, which has no 29 February. */
    time_t t = 7;
    assert_false(http_date_parse_at(SLICE("Sunday, 29-Feb-00 00:00:00 GMT"), 2840140800, &t));
    assert_int_equal(t, 7);
    assert_true(http_date_parse_at(SLICE("Sunday, 06-Nov-94 08:49:37 GMT"), -1, &t));
    assert_int_equal(t, EXAMPLE);
}

static void mutations(void **state)
{
    (void)state;
    static const char *const seeds[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    size_t accepted = 0;
    for (int i = 0; i < 200000; i++) {
        slice s = mutate(slice_str(seeds[i % 3]), SLICE("0123456789 :,-SunNovGMT"));
        time_t t = 7, again;
        if (http_date_parse(s, &t)) {
            char out[HTTP_DATE_LEN];
            accepted++;
            assert_in_range(s.len, 24, 33);
            http_date_format(t, out);
            assert_true(http_date_parse(slice_of(out, sizeof out), &again));
            if (t >= 0) assert_int_equal(again, t);
        } else {
            assert_int_equal(t, 7);
        }
        free((char *)s.ptr);
    }
    assert_in_range(accepted, 1000, 199000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format),           cmocka_unit_test(format_clamps_to_the_supported_years),
        cmocka_unit_test(agrees_with_libc), cmocka_unit_test(parse),
        cmocka_unit_test(malformed),        cmocka_unit_test(two_digit_years),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
