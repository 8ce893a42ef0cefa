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

static void reads(const char *raw, const char *path, const char *query, const char *host)
{
    struct target t;
    slice s = exact(slice_str(raw));
    if (!target_parse(s, false, &t)) fail_msg("'%s' rejected", raw);
    same(t.path, path);
    same(t.query, query);
    same(t.host, host);
    assert_false(t.asterisk);
    free((char *)s.ptr);
}

static void origin_form(void **state)
{
    (void)state;
    reads("/", "/", NULL, NULL);
    reads("/a", "/a", NULL, NULL);
    reads("/plaintext", "/plaintext", NULL, NULL);
    reads("/a/b/../c/./d//e", "/a/b/../c/./d//e", NULL, NULL);
    reads("//host/x", "//host/x", NULL, NULL);
    reads("/?", "/", "", NULL);
    reads("/a?b=c&d", "/a", "b=c&d", NULL);
    reads("/a?b?c?", "/a", "b?c?", NULL);
    reads("/a?http://x/y?z", "/a", "http://x/y?z", NULL);
    reads("/%00%zz%", "/%00%zz%", NULL, NULL);
    reads("/http://x/", "/http://x/", NULL, NULL);
    reads("/baseline11?a=1111111111&b=2222222222", "/baseline11", "a=1111111111&b=2222222222",
          NULL);
    reads("/*", "/*", NULL, NULL);
    reads("/|{}^`\\\"<>'", "/|{}^`\\\"<>'", NULL, NULL);
}

static void absolute_form(void **state)
{
    (void)state;
    reads("http://example.com/a?b", "/a", "b", "example.com");
    reads("http://example.com", "/", NULL, "example.com");
    reads("http://example.com?b", "/", "b", "example.com");
    reads("http://example.com?", "/", "", "example.com");
    reads("http://example.com/", "/", NULL, "example.com");
    reads("HTTPS://Example.com:8443/a", "/a", NULL, "Example.com:8443");
    reads("hTtP://[::1]:80/a", "/a", NULL, "[::1]:80");
    reads("http://example.com:", "/", NULL, "example.com:");
    reads("http://a//b", "//b", NULL, "a");
    reads("http://a?b/c", "/", "b/c", "a");
}

static void asterisk_form(void **state)
{
    (void)state;
    struct target t;
    assert_true(target_parse(SLICE("*"), true, &t));
    assert_true(t.asterisk);
    same(t.path, "*");
    same(t.query, NULL);
    same(t.host, NULL);
    assert_false(target_parse(SLICE("*"), false, &t));
    assert_false(target_parse(SLICE("*?a"), true, &t));
    assert_false(target_parse(SLICE("**"), true, &t));
    assert_false(target_parse(SLICE("*/"), true, &t));

    /* OPTIONS may use the other forms as well. */
    assert_true(target_parse(SLICE("/a"), true, &t));
    assert_false(t.asterisk);
    assert_true(target_parse(SLICE("http://a/"), true, &t));
    assert_false(t.asterisk);
    same(t.path, "/");
    assert_true(target_parse(SLICE("http://a?b"), true, &t));
    assert_false(t.asterisk);
    same(t.path, "/");

    /* An empty path differs from "/" only for OPTIONS (RFC 9110, 4.2.3). */
    assert_true(target_parse(SLICE("http://a:80"), true, &t));
    assert_true(t.asterisk);
    same(t.path, "*");
    same(t.query, NULL);
    same(t.host, "a:80");
}

static void rejected(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "a",
        "a/b",
        "?a",
        "#",
        "example.com:443",
        "example.com",
        "/a#b",
        "/#",
        "/a?b#c",
        "/a b",
        " /a",
        "/a ",
        "/a\t",
        "/a\r",
        "/a?\n",
        "/a\x7f",
        "/\x80",
        "/caf\xc3\xa9",
        "/a?\xff",
        "http:",
        "http:/",
        "http://",
        "http:///",
        "http:///a",
        "http://?a",
        "http://:80/",
        "http://u@h/",
        "http://u:p@h/",
        "http://h:p/",
        "http://h:65536/",
        "http://h#f",
        "http://h/#f",
        "http://h /",
        "http://h/ ",
        "http://a,b/",
        "http://[::1/",
        "http:/a/b",
        "http//a/b",
        "httpx://a/",
        "https:/a",
        "ftp://a/",
        "ws://a/",
        "//a/b\x01",
        "http://h\\/",
        "mailto:a@b",
        "/12345678901234567890\x01",
        "/1234567890\t1234567890",
    };
    struct target t;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        slice s = exact(slice_str(bad[i]));
        if (target_parse(s, false, &t)) fail_msg("'%s' accepted", bad[i]);
        free((char *)s.ptr);
    }
    assert_false(target_parse(absent, true, &t));
    assert_false(target_parse(SLICE("/a\0"), false, &t));
}

/* Every byte at every position, in paths of every length around eight. */
static void every_byte_at_every_position(void **state)
{
    (void)state;
    for (size_t len = 2; len < 28; len++) {
        char *s = malloc(len);
        assert_non_null(s);
        for (size_t at = 1; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                struct target t;
                memset(s, 'a', len);
                s[0] = '/';
                s[at] = (char)c;
                bool ok = target_parse(slice_of(s, len), false, &t);
                assert_int_equal(ok, c > 0x20 && c < 0x7f && c != '#');
                if (!ok) continue;
                assert_int_equal(t.path.len, c == '?' ? at : len);
                assert_true(t.path.ptr == s && (t.query.ptr == NULL) == (c != '?'));
                if (c != '?') continue;
                assert_int_equal(t.query.len, len - at - 1);
                /* The same byte in the query. */
                for (size_t q = at + 1; q < len; q++) {
                    s[q] = '#';
                    assert_false(target_parse(slice_of(s, len), false, &t));
                    s[q] = '?';
                    assert_true(target_parse(slice_of(s, len), false, &t));
                    assert_int_equal(t.path.len, at);
                    s[q] = 'a';
                }
            }
        }
        free(s);
    }
}

static void mutations(void **state)
{
    (void)state;
    static const char *const seeds[] = {"/a/b%20c?d=e&f=%41+g",
                                        "http://example.com:8080/path?query",
                                        "https://[::1]:80?x=y",
                                        "/",
                                        "*",
                                        "/plaintext"};
    size_t accepted = 0, count = 0;
    for (int i = 0; i < 200000; i++) {
        slice s = mutate(slice_str(seeds[i % 6]), SLICE("/?#%&=+:@[]*. htps019aF")), name, value;
        struct target t;
        char decoded[MUTATE_MAX];
        int n = percent_decode(s, decoded, i & 1);
        assert_true(n == -1 || (n >= 0 && (size_t)n <= s.len));
        bool valid = host_valid(s), ok = target_parse(s, i & 1, &t);
        assert_false(valid && ok && !t.asterisk && t.host.ptr == NULL);
        accepted += ok;
        if (ok) {
            assert_true(t.path.len > 0 && t.path.ptr[0] == (t.asterisk ? '*' : '/'));
            assert_null(memchr(t.path.ptr, '?', t.path.len));
            if (t.host.ptr)
                assert_true(inside(t.host, s) && t.host.len > 0 && host_valid(t.host));
            else
                assert_true(t.path.ptr == s.ptr);
            if (t.query.ptr)
                assert_true(inside(t.query, s) && t.query.ptr[-1] == '?' &&
                            t.query.ptr + t.query.len == s.ptr + s.len);
            for (size_t k = 0; k < s.len; k++)
                assert_true(s.ptr[k] > 0x20 && s.ptr[k] < 0x7f && s.ptr[k] != '#');
        }
        for (slice rest = s; query_next(&rest, &name, &value); count++) {
            assert_true(inside(name, s) && (!value.ptr || inside(value, s)));
            assert_true(name.len || value.ptr);
        }
        free((char *)s.ptr);
    }
    assert_in_range(accepted, 10000, 190000);
    assert_true(count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origin_form),
        cmocka_unit_test(absolute_form),
        cmocka_unit_test(asterisk_form),
        cmocka_unit_test(rejected),
        cmocka_unit_test(every_byte_at_every_position),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
