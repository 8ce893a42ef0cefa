#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const slice none = {NULL, 0};

static void equal(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE("abc"), slice_str("abc")));
    assert_false(slice_eq(SLICE("abc"), SLICE("abd")));
    assert_false(slice_eq(SLICE("abc"), SLICE("ab")));
    assert_false(slice_eq(SLICE("abc"), SLICE("ABC")));
    assert_true(slice_eq(none, SLICE("")));
    assert_true(slice_eq(none, none));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
}

static void equal_in_any_case(void **state)
{
    (void)state;
    assert_true(slice_ieq(SLICE("Content-Length"), SLICE("cONTENT-lENGTH")));
    assert_false(slice_ieq(SLICE("abc"), SLICE("abcd")));
    assert_true(slice_ieq(none, SLICE("")));
    assert_false(slice_ieq(SLICE("a\0b"), SLICE("a\0c")));

    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char x = (char)a, y = (char)b;
            int la = a >= 'A' && a <= 'Z' ? a + 32 : a, lb = b >= 'A' && b <= 'Z' ? b + 32 : b;
            assert_int_equal(slice_ieq(slice_of(&x, 1), slice_of(&y, 1)), la == lb);
        }
    }
}

static void starts(void **state)
{
    (void)state;
    assert_true(slice_starts(SLICE("/static/x"), SLICE("/static/")));
    assert_true(slice_starts(SLICE("abc"), SLICE("abc")));
    assert_false(slice_starts(SLICE("ab"), SLICE("abc")));
    assert_false(slice_starts(SLICE("xbc"), SLICE("ab")));
    assert_true(slice_starts(SLICE("abc"), none));
    assert_true(slice_starts(none, none));
    assert_false(slice_starts(none, SLICE("a")));
}

static void skip_and_trim(void **state)
{
    (void)state;
    assert_true(slice_eq(slice_skip(SLICE("abc"), 1), SLICE("bc")));
    assert_true(slice_eq(slice_skip(SLICE("abc"), 3), SLICE("")));
    assert_null(slice_skip(none, 0).ptr);

    assert_true(slice_eq(slice_trim(SLICE(" \t a \t b\t ")), SLICE("a \t b")));
    assert_true(slice_eq(slice_trim(SLICE("ab")), SLICE("ab")));
    assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
    assert_int_equal(slice_trim(none).len, 0);
    assert_true(slice_eq(slice_trim(SLICE("\r\na\v")), SLICE("\r\na\v")));
}

static void cut_is(slice all, size_t n, const char *const *want)
{
    slice part = none;
    for (size_t i = 0; i < n; i++) {
        assert_true(slice_cut(&all, ',', &part));
        assert_true(slice_eq(part, slice_str(want[i])));
    }
    assert_false(slice_cut(&all, ',', &part));
    assert_null(part.ptr);
    part = SLICE("left");
    assert_false(slice_cut(&all, ',', &part));
    assert_true(!part.ptr && part.len == 0);
}

static void cut(void **state)
{
    (void)state;
    cut_is(SLICE("a,bc,d"), 3, (const char *[]){"a", "bc", "d"});
    cut_is(SLICE("a"), 1, (const char *[]){"a"});
    cut_is(SLICE(""), 1, (const char *[]){""});
    cut_is(SLICE(","), 2, (const char *[]){"", ""});
    cut_is(SLICE(",a,,"), 4, (const char *[]){"", "a", "", ""});
    cut_is(none, 0, NULL);
}

static void cut_returns_views_of_the_input(void **state)
{
    (void)state;
    const char *s = "k=v";
    slice rest = slice_str(s), key;
    assert_true(slice_cut(&rest, '=', &key));
    assert_ptr_equal(key.ptr, s);
    assert_ptr_equal(rest.ptr, s + 2);
    assert_int_equal(rest.len, 1);
}

static void u64(void **state)
{
    (void)state;
    uint64_t v = 7;
    static const char *const bad[] = {
        "",
        "-1",
        "+1",
        " 1",
        "1 ",
        "0x1",
        "1a",
        "a",
        "1.0",
        "18446744073709551616",
        "18446744073709551620",
        "99999999999999999999",
        "184467440737095516150",
        "/",
        ":",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        v = 7;
        assert_false(slice_u64(slice_str(bad[i]), &v));
        assert_int_equal(v, 0);
    }
    v = 7;
    assert_false(slice_u64(none, &v));
    assert_int_equal(v, 0);
    assert_false(slice_u64(SLICE("1\0"), &v));
    assert_int_equal(v, 0);

    assert_true(slice_u64(SLICE("0"), &v));
    assert_int_equal(v, 0);
    assert_true(slice_u64(SLICE("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_true(slice_u64(SLICE("000000000000000000000000000042"), &v));
    assert_int_equal(v, 42);
    assert_true(slice_u64(slice_of("1234", 3), &v));
    assert_int_equal(v, 123);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal),  cmocka_unit_test(equal_in_any_case),
        cmocka_unit_test(starts), cmocka_unit_test(skip_and_trim),
        cmocka_unit_test(cut),    cmocka_unit_test(cut_returns_views_of_the_input),
        cmocka_unit_test(u64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
