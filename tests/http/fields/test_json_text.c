#include "http/fields/json_text.h"

#include "../../base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BAD "\xef\xbf\xbd"

static void quoted(slice text, const char *want)
{
    size_t size = json_text_size(text);
    char *got = malloc(size); /* of its exact size, for the address sanitizer */
    assert_non_null(got);
    assert_ptr_equal(json_text_put(got, text), got + size);
    if (size != strlen(want) || memcmp(got, want, size) != 0)
        fail_msg("%.*s, not %s", (int)size, got, want);
    free(got);
}

static void ascii(void **state)
{
    (void)state;
    quoted(SLICE(""), "\"\"");
    quoted((slice){NULL, 0}, "\"\"");
    quoted(SLICE("plain / text"), "\"plain / text\"");
    quoted(SLICE("\"\\"), "\"\\\"\\\\\"");
    quoted(SLICE("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    quoted(SLICE("a\0b"), "\"a\\u0000b\"");
    quoted(SLICE("\x01\x1f\x7f"), "\"\\u0001\\u001f\x7f\"");
}

static void well_formed(void **state)
{
    static const char *const texts[] = {"\xc2\x80",         "\xdf\xbf",         "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",     "\xee\x80\x80",     "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xf3\xbf\xbf\xbf"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char want[16];
        snprintf(want, sizeof want, "\"%s\"", texts[i]);
        quoted(slice_str(texts[i]), want);
    }
}

/* As in the table of Unicode 15, 3.9. */
static void malformed(void **state)
{
    (void)state;
    quoted(SLICE("\xff"), "\"" BAD "\"");
    quoted(SLICE("\x80"), "\"" BAD "\"");
    quoted(SLICE("\xc2"), "\"" BAD "\"");
    quoted(SLICE("\xc2x"), "\"" BAD "x\"");
    quoted(SLICE("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"),
           "\"" BAD BAD BAD BAD BAD BAD BAD BAD "A\"");
    quoted(SLICE("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"),
           "\"" BAD BAD BAD BAD BAD BAD BAD BAD "A\"");
    quoted(SLICE("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"),
           "\"" BAD BAD BAD BAD BAD "A" BAD BAD "B\"");
    quoted(SLICE("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), "\"" BAD BAD BAD BAD "A\"");
    quoted(SLICE("\xf0\x9f\x98\"\n"), "\"" BAD "\\\"\\n\"");
}

/* Whatever comes, the result is of its announced size and is one string. */
static void any_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[12], out[6 * sizeof text + 2];
        size_t n = random_below(sizeof text + 1);
        for (size_t k = 0; k < n; k++) text[k] = (char)random_u64();
        char *end = json_text_put(out, slice_of(text, n));
        assert_int_equal(end - out, json_text_size(slice_of(text, n)));
        assert_true(out[0] == '"' && end[-1] == '"');
        for (char *p = out + 1; p < end - 1; p++) {
            assert_true((unsigned char)*p >= ' ' && *p != '"');
            if (*p == '\\') p++;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ascii),
        cmocka_unit_test(well_formed),
        cmocka_unit_test(malformed),
        cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
