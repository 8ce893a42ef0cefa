#include "client/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void parsed(void **state)
{
    static const struct {
        const char *text, *host, *target, *address;
    } good[] = {
        {"http://a", "a", "", "a:80"},
        {"HTTP://a:81/b?c=/d#e?f", "a:81", "/b?c=/d", "a:81"},
        {"http://a:/", "a:", "/", "a:80"},
        {"http://[::1]/", "[::1]", "/", "[::1]:80"},
        {"http://[::1]:8080?q", "[::1]:8080", "?q", "[::1]:8080"},
        {"http://A.Example:0080/", "A.Example:0080", "/", "a.example:80"},
        {"http://[2001:DB8::A]:/", "[2001:DB8::A]:", "/", "[2001:db8::a]:80"},
        {"http://a:00443", "a:00443", "", "a:443"},
        {"http://127.0.0.1#x", "127.0.0.1", "", "127.0.0.1:80"},
        {"http://unix/a", "unix", "/a", "Unix:80"}, /* no Unix socket */
        {"http://unix:81/", "unix:81", "/", "Unix:81"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct url u;
        char address[URL_HOST_MAX + 4];
        assert_int_equal(url_parse(slice_str(good[i].text), &u), 0);
        assert_true(slice_eq(u.host, slice_str(good[i].host)));
        assert_true(slice_eq(u.target, slice_str(good[i].target)));
        url_address(u.host, address);
        assert_string_equal(address, good[i].address);
    }
}

static void rejected(void **state)
{
    static const struct {
        const char *text;
        int err;
    } bad[] = {
        {"", -EINVAL},
        {"a/b", -EINVAL},
        {"//a/b", -EINVAL},
        {"/a", -EINVAL},
        {"http:", -EINVAL},
        {"http:/a", -EINVAL},
        {"http://", -EINVAL},
        {"http:///a", -EINVAL},
        {"http://u@a/", -EINVAL},
        {"http://a b/", -EINVAL},
        {"http://a/b c", -EINVAL},
        {"http://a:x/", -EINVAL},
        {"http://a/\r\n", -EINVAL},
        {":a", -EINVAL},
        {"1http://a", -EINVAL},
        {"https://a", -EPROTONOSUPPORT},
        {"ws+x://a", -EPROTONOSUPPORT},
    };
    static char large[URL_MAX + 100] = "http://a/";
    struct url u;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (url_parse(slice_str(bad[i].text), &u) != bad[i].err) fail_msg("%s", bad[i].text);
    memset(large + 9, 'b', URL_MAX);
    assert_int_equal(url_parse(slice_str(large), &u), -EINVAL);
    memset(large + 7, 'b', URL_HOST_MAX + 1);
    large[7 + URL_HOST_MAX + 1] = '\0';
    assert_int_equal(url_parse(slice_str(large), &u), -EINVAL);
}

static void same_server(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"http://a/", "http://a:80/b", true},    {"http://a:", "http://A", true},
        {"http://a:0080", "http://a:80", true},  {"http://[::A]", "http://[::a]:80/", true},
        {"http://a:8080", "http://a", false},    {"http://a:8080", "http://A:8080", true},
        {"http://a", "http://a.", false},        {"http://a", "http://b", false},
        {"http://a", "http://a:443", false},     {"http://unix", "http://UNIX:80", true},
        {"http://[::1]", "http://[::2]", false}, {"http://a:0", "http://a", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct url a, b;
        assert_int_equal(url_parse(slice_str(pairs[i].a), &a), 0);
        assert_int_equal(url_parse(slice_str(pairs[i].b), &b), 0);
        if (url_same_server(&a, &b) != pairs[i].same) fail_msg("%s %s", pairs[i].a, pairs[i].b);
    }
}

/* The examples of RFC 3986, 5.4.1 and 5.4.2, without those of other schemes. */
static void resolved(void **state)
{
    static const struct {
        const char *ref, *want;
    } refs[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"http://g/h", "http://g/h"},
        {"https://g/h", "https://g/h"},
        {"/x:y", "http://a/x:y"},
    };
    struct url base;
    char out[100];
    (void)state;
    assert_int_equal(url_parse(SLICE("http://a/b/c/d;p?q"), &base), 0);
    for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
        int n = url_resolve(&base, slice_str(refs[i].ref), out, sizeof out);
        assert_true(n >= 0);
        if (!slice_eq(slice_of(out, (size_t)n), slice_str(refs[i].want)))
            fail_msg("%s: %.*s", refs[i].ref, n, out);
    }
    assert_int_equal(url_resolve(&base, SLICE("gggggggg"), out, 20), -EINVAL);
    assert_int_equal(url_parse(SLICE("http://a"), &base), 0);
    int n = url_resolve(&base, SLICE("b"), out, sizeof out);
    assert_true(slice_eq(slice_of(out, (size_t)n), SLICE("http://a/b")));
    n = url_resolve(&base, SLICE("?b"), out, sizeof out);
    assert_true(slice_eq(slice_of(out, (size_t)n), SLICE("http://a/?b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsed),
        cmocka_unit_test(rejected),
        cmocka_unit_test(same_server),
        cmocka_unit_test(resolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
