#include "load/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void unprintable_bytes_are_escaped(void **state)
{
    char text[40];
    (void)state;
    escape(SLICE("plain ~"), text, sizeof text);
    assert_string_equal(text, "plain ~");
    escape(SLICE("a\r\n\t\"\\\0\x7f\xff"), text, sizeof text);
    assert_string_equal(text, "a\\r\\n\\t\\\"\\\\\\x00\\x7f\\xff");
    escape(SLICE(""), text, sizeof text);
    assert_string_equal(text, "");
}

/* At every size, nothing is written beyond it. */
static void text_is_cut_between_escapes(void **state)
{
    char text[16];
    (void)state;
    escape(SLICE("123456789"), text, 10);
    assert_string_equal(text, "123456789");
    escape(SLICE("1234567890"), text, 10);
    assert_string_equal(text, "123456...");
    escape(SLICE("12345\xff\xff"), text, 10);
    assert_string_equal(text, "12345...");
    escape(SLICE("\xff\xff\xff"), text, 12);
    assert_string_equal(text, "\\xff\\xff...");
    for (size_t size = 9; size < sizeof text; size++) {
        text[size] = '#';
        escape(SLICE("a\xff"
                     "b\n\xff\n\xff\n\xff\n\xff"),
               text, size);
        assert_true(strlen(text) < size);
        assert_string_equal(text + strlen(text) - 3, "...");
        assert_int_equal(text[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unprintable_bytes_are_escaped),
        cmocka_unit_test(text_is_cut_between_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
