/* The parts of a target: host, escapes, query. */
#include "http/target.h"

#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const slice absent = {NULL, 0};

static void same(slice got, const char *want)
{
    if (!want) {
        assert_null(got.ptr);
        return;
    }
    assert_non_null(got.ptr);
    if (!slice_eq(got, slice_str(want))) fail_msg("'%.*s', not %s", (int)got.len, got.ptr, want);
}

static void hosts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "localhost",
        "example.com",
        "example.com:80",
        "example.com:",
        "a:0",
        "a:9",
        "a%00",
        "a:65535",
        "a:00080",
        "127.0.0.1",
        "127.0.0.1:8080",
        "999.999.999.999", /* valid as a reg-name */
        "a",
        "a_b~c-d.e!$&'()*+;=",
        "%41%42c:1",
        "a%2fb",
        "xn--caf-dma.example",
        "[::]",
        "[::1]",
        "[::1]:",
        "[::1]:8080",
        "[2001:DB8::1]:443",
        "[1:2:3:4:5:6:7:8]",
        "[::ffff:127.0.0.1]:80",
        "[1111:2222:3333:4444:5555:6666:255.255.255.255]",
    };
    static const char *const bad[] = {
        ":",
        ":80",
        "a:65536",
        "a:99999999999999999999",
        "a:-1",
        "a:+1",
        "a:1a",
        "a:1:2",
        "a:b",
        "a::",
        "a:80 ",
        "a,b",
        "a, b",
        "a/b",
        "/",
        "u@a",
        "a b",
        " a",
        "a ",
        "a\t",
        "a?b",
        "a#b",
        "a\\b",
        "a\"b",
        "a<b",
        "a|b",
        "a^b",
        "a`b",
        "a{b}",
        "a\x7f",
        "a\x80",
        "\xc3\xa9",
        "%",
        "%4",
        "%4g",
        "%g4",
        "a%",
        "a%4",
        "%%41",
        "http://a",
        "[",
        "]",
        "[]",
        "[]:80",
        "[:]",
        "[::1",
        "::1",
        "[::1]a",
        "[::1]]",
        "[::1]:a",
        "[::1]:65536",
        "[::1]:80:80",
        "[::1]80",
        "[[::1]]",
        "[:::1]",
        "[1::2::3]",
        "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]",
        "[12345::]",
        "[g::]",
        "[127.0.0.1]",
        "[::1.2.3]",
        "[::1.2.3.256]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[v1.a]",
        "[::1 ]",
        "a[::1]",
        "[1111:2222:3333:4444:5555:6666:255.255.255.2551]",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        slice s = exact(slice_str(good[i]));
        if (!host_valid(s)) fail_msg("'%s' rejected", good[i]);
        free((char *)s.ptr);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        slice s = exact(slice_str(bad[i]));
        if (host_valid(s)) fail_msg("'%s' accepted", bad[i]);
        free((char *)s.ptr);
    }
    assert_true(host_valid(absent));
    assert_false(host_valid(SLICE("a\0")));
    assert_false(host_valid(SLICE("\0")));
    assert_false(host_valid(SLICE("[::\0]")));
    assert_false(host_valid(SLICE("[::1\0]")));
}

static void every_host_byte(void **state)
{
    (void)state;
    const char *allowed = "-._~!$&'()*+;=0123456789"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (size_t len = 1; len < 12; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                char s[12] = "111111111111";
                s[at] = (char)c;
                bool want = c && strchr(allowed, c);
                /* Digits after it are its port, unless they are too many. */
                if (c == ':') want = at > 0 && len - at - 1 <= 5;
                if (c == '%') want = len - at >= 3;
                assert_int_equal(host_valid(slice_of(s, len)), want);
            }
        }
    }
}

static void decodes(const char *in, bool plus, const char *want)
{
    slice s = exact(slice_str(in)), out = exact(slice_str(in));
    int n = percent_decode(s, (char *)out.ptr, plus);
    if (!want) {
        assert_int_equal(n, -1);
    } else {
        assert_int_equal(n, strlen(want));
        same(slice_of(out.ptr, (size_t)n), want);
        assert_int_equal(percent_decode(s, (char *)s.ptr, plus), n); /* in place */
        same(slice_of(s.ptr, (size_t)n), want);
    }
    free((char *)s.ptr);
    free((char *)out.ptr);
}

static void percent(void **state)
{
    (void)state;
    decodes("", false, "");
    decodes("abc", false, "abc");
    decodes("a%20b", false, "a b");
    decodes("%41%6a%6A", false, "Ajj");
    decodes("%2525", false, "%25");
    decodes("%2F%2f..", false, "//..");
    decodes("%ff%C3%A9", false, "\xff\xc3\xa9");
    decodes("a+b", false, "a+b");
    decodes("a+b%2B+", true, "a b+ ");
    static const char *const bad[] = {"%",   "%4",  "%%",  "a%",  "a%4",  "%g0",  "%0g",
                                      "%-1", "% 1", "%1 ", "%+1", "%x41", "%4%1", "abc%2",
                                      "%/0", "%:0", "%@0", "%`0", "%G0",  "%0:",  "%\xff\xff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) decodes(bad[i], true, NULL);

    char out[8];
    assert_int_equal(percent_decode(SLICE("a%00b"), out, false), 3);
    assert_memory_equal(out, "a\0b", 3);
    assert_int_equal(percent_decode(absent, out, false), 0);
    for (int c = 0; c < 256; c++) {
        const char *lower = "0123456789abcdef", *upper = "0123456789ABCDEF";
        char in[6] = {'%', lower[c >> 4], upper[c & 15], '%', upper[c >> 4], lower[c & 15]};
        assert_int_equal(percent_decode(slice_of(in, 6), out, true), 2);
        assert_int_equal((unsigned char)out[0], c);
        assert_int_equal((unsigned char)out[1], c);
    }
}

static void pairs(slice query, size_t n, const char *const want[][2])
{
    slice name, value;
    for (size_t i = 0; i < n; i++) {
        assert_true(query_next(&query, &name, &value));
        same(name, want[i][0]);
        same(value, want[i][1]);
    }
    assert_false(query_next(&query, &name, &value));
    assert_false(query_next(&query, &name, &value));
}

static void queries(void **state)
{
    (void)state;
    pairs(absent, 0, NULL);
    pairs(SLICE(""), 0, NULL);
    pairs(SLICE("&"), 0, NULL);
    pairs(SLICE("&&&"), 0, NULL);
    pairs(SLICE("a=1&b=2"), 2, (const char *const[][2]){{"a", "1"}, {"b", "2"}});
    pairs(SLICE("a"), 1, (const char *const[][2]){{"a", NULL}});
    pairs(SLICE("a="), 1, (const char *const[][2]){{"a", ""}});
    pairs(SLICE("="), 1, (const char *const[][2]){{"", ""}});
    pairs(SLICE("=1"), 1, (const char *const[][2]){{"", "1"}});
    pairs(SLICE("a=b=c"), 1, (const char *const[][2]){{"a", "b=c"}});
    pairs(SLICE("&a&&b=&"), 2, (const char *const[][2]){{"a", NULL}, {"b", ""}});
    pairs(SLICE("a;b=%26?/+"), 1, (const char *const[][2]){{"a;b", "%26?/+"}});
}

static void faults_of_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        enum path_fault fault;
    } cases[] = {
        {"", PATH_FINE},     {"a/b.c", PATH_FINE},  {"..", PATH_UP},
        {"../a", PATH_UP},   {"a/..", PATH_UP},     {"a/../b", PATH_UP},
        {"%2e.", PATH_UP},   {"%2E%2e/a", PATH_UP}, {"a%2f..", PATH_UP},
        {"..%2Fa", PATH_UP}, {"a/.%2e", PATH_UP},   {"...", PATH_FINE},
        {"..a", PATH_FINE},  {"a..", PATH_FINE},    {".", PATH_FINE},
        {"%2e", PATH_FINE},  {".%2fa", PATH_FINE},  {"a%00", PATH_NUL},
        {"%00", PATH_NUL},   {"../%00", PATH_NUL},  {"%0", PATH_FINE},
        {"%", PATH_FINE},    {"%zz/..", PATH_UP},   {"%2%2e%2e", PATH_FINE},
        {".%", PATH_FINE},   {"%25%2e", PATH_FINE}, {"%252e%252e", PATH_FINE},
        {"a//..", PATH_UP},  {"..;a", PATH_FINE},   {"a%000", PATH_NUL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        slice raw = exact(slice_str(cases[i].raw));
        enum path_fault got = path_check(raw);
        if (got != cases[i].fault) fail_msg("%s: %d", cases[i].raw, (int)got);
        free((char *)(uintptr_t)raw.ptr);
    }
}

static void normal_forms(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"/me", "/me"},
        {"/m%65", "/me"},
        {"%41%5A%61%7a%30%39%2D%2e%5f%7E", "AZaz09-._~"},
        {"%40%5B%60%7b%2f%3A", "%40%5B%60%7B%2F%3A"},
        {"%c3%A9%ff%00%80", "%C3%A9%FF%00%80"},
        {"%2565", "%2565"},
        {"%%65", "%e"},
        {"%6", "%6"},
        {"%", "%"},
        {"%6g%zz", "%6g%zz"},
        {"a%2Fb//%2e%2e/", "a%2Fb//../"},
        {"|{^\xe9", "|{^\xe9"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        slice raw = exact(slice_str(cases[i][0])), normal = exact(slice_str(cases[i][1]));
        slice out = exact(raw); /* no more than that is written */
        out.len = path_normalize(raw, (char *)(uintptr_t)out.ptr);
        same(out, cases[i][1]);
        assert_true(path_equals(raw, normal));
        if (normal.len) assert_false(path_equals(raw, slice_of(normal.ptr, normal.len - 1)));
        if (raw.len) assert_false(path_equals(slice_of(raw.ptr, raw.len - 1), normal));
        free((char *)(uintptr_t)raw.ptr);
        free((char *)(uintptr_t)normal.ptr);
        free((char *)(uintptr_t)out.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_of_a_path), cmocka_unit_test(hosts),
        cmocka_unit_test(every_host_byte),  cmocka_unit_test(percent),
        cmocka_unit_test(queries),          cmocka_unit_test(normal_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
