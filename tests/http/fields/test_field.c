#include "http/fields/field.h"

#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const slice absent = {NULL, 0};

static void names(void **state)
{
    (void)state;
    const char *token = "!#$%&'*+-.^_`|~0123456789"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (int c = 0; c < 256; c++) {
        char name[3] = {'a', (char)c, 'b'};
        bool want = c && strchr(token, c);
        assert_int_equal(field_name_valid(slice_of(name, 3)), want);
        assert_int_equal(field_name_valid(slice_of(name + 1, 1)), want);
        assert_int_equal(field_name_valid(slice_of(name, 2)), want);
    }
    assert_true(field_name_valid(SLICE("Content-Type")));
    assert_false(field_name_valid(SLICE("")));
    assert_false(field_name_valid(absent));
    assert_false(field_name_valid(SLICE("X-A:")));
    assert_false(field_name_valid(SLICE(" X-A")));
}

static void values(void **state)
{
    (void)state;
    for (size_t len = 1; len < 28; len++) {
        slice value = exact(slice_of((char[28]){0}, len));
        char *bytes = (char *)value.ptr;
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                memset(bytes, c & 1 ? '\xa0' : 'v', len);
                bytes[at] = (char)c;
                bool want = c == '\t' || (c >= ' ' && c != 0x7f);
                assert_int_equal(field_value_valid(value), want);
                bytes[0] = '\t'; /* is valid and does not hide what follows */
                assert_int_equal(field_value_valid(value), want || at == 0);
            }
        }
        free(bytes);
    }
    for (int pair = 0; pair < 256 * 256; pair++) { /* no byte hides its neighbour */
        char bytes[] = {'v', 'v', 'v', (char)(pair >> 8), (char)pair, 'v', 'v', 'v', 'v'};
        bool want = true;
        for (int i = 3; i < 5; i++) {
            unsigned char c = (unsigned char)bytes[i];
            want &= c == '\t' || (c >= ' ' && c != 0x7f);
        }
        assert_int_equal(field_value_valid(slice_of(bytes, sizeof bytes)), want);
    }
    assert_true(field_value_valid(SLICE("")));
    assert_true(field_value_valid(absent));
    assert_true(field_value_valid(SLICE(" text/plain; charset=\"utf-8\"\t")));
    assert_true(field_value_valid(SLICE("caf\xc3\xa9 \xff")));
    assert_false(field_value_valid(SLICE("a\r\nSet-Cookie: b")));
    assert_false(field_value_valid(SLICE("a\nb")));
    assert_false(field_value_valid(SLICE("a\0b")));
}

static bool has(const char *list, const char *token)
{
    return token_list_has(slice_str(list), slice_str(token));
}

static void lists(void **state)
{
    (void)state;
    assert_true(has("close", "close"));
    assert_true(has("Keep-Alive, CLOSE", "close"));
    assert_true(has(" \tclose\t , x", "close"));
    assert_true(has("x,close", "close"));
    assert_true(has(",,close,,", "close"));
    assert_true(has("a,b , c\t,d", "C"));

    assert_false(has("", "close"));
    assert_false(has(",", "close"));
    assert_false(has("closed", "close"));
    assert_false(has("clos", "close"));
    assert_false(has("x close", "close"));
    assert_false(has("close x", "close"));
    assert_false(has("close;q=1", "close"));
    assert_false(has("\"close\"", "close"));
    assert_false(has("close\r", "close"));
    assert_false(has("keep-alive close", "close"));
    assert_false(token_list_has(absent, SLICE("close")));

    assert_false(has("", ""));
    assert_false(has("a,,b", ""));
    assert_false(has(" , ", ""));
}

/* A list that contains a token still does with anything in front of it. */
static void mutations(void **state)
{
    (void)state;
    size_t found = 0;
    for (int i = 0; i < 100000; i++) {
        slice s = mutate(SLICE("keep-alive, Upgrade ,close"), SLICE("closeCLOSE ,,\t;"));
        bool has_close = token_list_has(s, SLICE("close"));
        found += has_close;
        char longer[MUTATE_MAX + 2] = "x,";
        if (s.len) memcpy(longer + 2, s.ptr, s.len);
        assert_int_equal(token_list_has(slice_of(longer, s.len + 2), SLICE("close")), has_close);
        if (has_close) assert_true(s.len >= 5);
        if (field_name_valid(s)) assert_true(field_value_valid(s) && !memchr(s.ptr, ',', s.len));
        free((char *)s.ptr);
    }
    assert_in_range(found, 1000, 99000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(values),
        cmocka_unit_test(lists),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
