/* The numbers that slices are. */

#include "torc.h"

#include "base/assert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static torc_slice of(const char *text)
{
    return (torc_slice){text, strlen(text)};
}

static void unsigned_numbers(void **state)
{
    static const char *const wrong[] = {"",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "0x1",
                                        "1.0",
                                        "18446744073709551616",
                                        "99999999999999999999999"};
    uint64_t v = 77;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) assert_false(torc_slice_u64(of(wrong[i]), &v));
    assert_false(torc_slice_u64((torc_slice){NULL, 0}, &v));
    assert_int_equal(v, 77);
    assert_true(torc_slice_u64(of("0007"), &v) && v == 7);
    assert_true(torc_slice_u64(of("18446744073709551615"), &v) && v == UINT64_MAX);
}

static void signed_numbers(void **state)
{
    static const char *const wrong[] = {"",
                                        "-",
                                        "--1",
                                        "+1",
                                        "- 1",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "18446744073709551615"};
    int64_t v = 77;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) assert_false(torc_slice_i64(of(wrong[i]), &v));
    assert_false(torc_slice_i64((torc_slice){NULL, 0}, &v));
    assert_int_equal(v, 77);
    assert_true(torc_slice_i64(of("-9223372036854775808"), &v) && v == INT64_MIN);
    assert_true(torc_slice_i64(of("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(torc_slice_i64(of("-0"), &v) && v == 0);
}

static void real_numbers(void **state)
{
    static const char *const wrong[] = {"",    "-",   ".",   "1.", ".5", "1e",    "1e+", "0x1p3",
                                        "inf", "nan", "1,5", " 1", "1 ", "1e999", "--1", "1.5.5"};
    double v = 77;
    char many[200];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (torc_slice_double(of(wrong[i]), &v)) fail_msg("'%s' is taken", wrong[i]);
    memset(many, '1', sizeof many);
    assert_false(torc_slice_double((torc_slice){many, sizeof many}, &v));
    assert_true(v == 77);
    assert_true(torc_slice_double((torc_slice){many, 127}, &v) && isfinite(v));
    assert_true(torc_slice_double(of("1.5"), &v) && v == 1.5);
    assert_true(torc_slice_double(of("-0.25e+2"), &v) && v == -25);
    assert_true(torc_slice_double(of("007E-1"), &v) && v == 0.7);
    assert_true(torc_slice_double((torc_slice){"12345", 2}, &v) && v == 12);
}

static void equality(void **state)
{
    const torc_slice absent = {NULL, 0};
    (void)state;
    assert_true(torc_slice_eq(of("Ab"), of("Ab")));
    assert_false(torc_slice_eq(of("Ab"), of("ab")));
    assert_true(torc_slice_ieq(of("Ab[\xc4"), of("aB[\xc4")));
    assert_false(torc_slice_ieq(of("["), of("{")));
    assert_false(torc_slice_ieq(of("\xc4"), of("\xe4")));
    assert_true(torc_slice_eq(absent, of("")));
    assert_true(torc_slice_ieq(absent, of("")));
    assert_false(torc_slice_eq(absent, of("a")));
}

static void secrets(void **state)
{
    const torc_slice absent = {NULL, 0};
    (void)state;
    assert_true(torc_slice_secret_eq(of("token"), of("token")));
    assert_false(torc_slice_secret_eq(of("token"), of("tokeN")));
    assert_false(torc_slice_secret_eq(of("token"), of("\xf4oken")));
    assert_false(torc_slice_secret_eq(of("token"), of("toke")));
    assert_false(torc_slice_secret_eq(of("token"), of("token1")));
    assert_false(torc_slice_secret_eq(absent, of("a")));
    assert_true(torc_slice_secret_eq(absent, of("")));
}

static void strings(void **state)
{
    (void)state;
    assert_true(torc_slice_eq(torc_slice_str("text"), TORC_S("text")));
    assert_true(torc_slice_str("").ptr && torc_slice_str("").len == 0);
    assert_true(!torc_slice_str(NULL).ptr && torc_slice_str(NULL).len == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_numbers), cmocka_unit_test(signed_numbers),
        cmocka_unit_test(real_numbers),     cmocka_unit_test(equality),
        cmocka_unit_test(secrets),          cmocka_unit_test(strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
