#include "http/method.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const all[HTTP_METHODS] = {
    "GET",   "HEAD",  "POST",   "PUT",    "DELETE", "PATCH",    "OPTIONS",
    "COPY",  "LINK",  "LOCK",   "MKCOL",  "MOVE",   "PROPFIND", "PROPPATCH",
    "PURGE", "QUERY", "REPORT", "SEARCH", "UNLINK", "UNLOCK",
};

static void names_round_trip(void **state)
{
    (void)state;
    for (int m = 0; m < HTTP_METHODS; m++) {
        assert_true(slice_eq(http_method_name((enum http_method)m), slice_str(all[m])));
        assert_int_equal(http_method_of(slice_str(all[m])), m);
    }
}

static void unknown(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "G",    "GE",   "get",   "Get",   "GETT",  "GOT",     "PUR",       "HEAd",
        "POSS", "PORT", "HOST", "PATCh", "TRACE", "DELET", "DELETES", "CONNECT",   "OPTION",
        " GET", "GET ", "PRI",  "LOC",   "QUERy", "REPOR", "OPTIONs", "PROPFINDS",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(http_method_of(slice_str(bad[i])), -1);
    assert_int_equal(http_method_of((slice){NULL, 0}), -1);
    assert_int_equal(http_method_of(SLICE("GE\0")), -1);
}

static void one_byte_off(void **state)
{
    (void)state;
    for (int m = 0; m < HTTP_METHODS; m++) {
        slice name = slice_str(all[m]);
        for (size_t at = 0; at < name.len; at++) {
            for (int c = 0; c < 256; c++) {
                char other[16];
                memcpy(other, name.ptr, name.len);
                if (other[at] == (char)c) continue;
                other[at] = (char)c;
                int got = http_method_of(slice_of(other, name.len));
                assert_true(got == -1 || slice_eq(slice_str(all[got]), slice_of(other, name.len)));
            }
        }
    }
}

static void expect_allow(uint32_t methods, const char *want)
{
    char out[HTTP_ALLOW_MAX + 1];
    memset(out, '#', sizeof out);
    size_t n = http_allow(methods, out, HTTP_ALLOW_MAX);
    assert_true(slice_eq(slice_of(out, n), slice_str(want)));
    assert_int_equal(out[n], '#');
}

static void allow(void **state)
{
    (void)state;
    expect_allow(0, "");
    expect_allow(1u << HTTP_GET, "GET");
    expect_allow(1u << HTTP_OPTIONS | 1u << HTTP_HEAD | 1u << HTTP_GET, "GET, HEAD, OPTIONS");
    expect_allow(1u << HTTP_POST | 1u << HTTP_OPTIONS, "POST, OPTIONS");
    expect_allow(HTTP_METHODS_ANY, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");
    expect_allow(UINT32_MAX,
                 "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, COPY, LINK, LOCK, MKCOL, "
                 "MOVE, PROPFIND, PROPPATCH, PURGE, QUERY, REPORT, SEARCH, UNLINK, UNLOCK");

    char exact[3];
    assert_int_equal(http_allow(1u << HTTP_PUT, exact, sizeof exact), 3);
    assert_memory_equal(exact, "PUT", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_round_trip),
        cmocka_unit_test(unknown),
        cmocka_unit_test(one_byte_off),
        cmocka_unit_test(allow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
