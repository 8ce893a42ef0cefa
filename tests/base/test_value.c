/* Sizes and durations as text, and back. */

#include "base/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct reading {
    const char *text;
    uint64_t value;
    const char *again; /* its canonical text */
};

static void reads_as(bool (*read)(slice, uint64_t *), void (*write)(uint64_t, char *),
                     const struct reading *r)
{
    uint64_t v = 0;
    char text[VALUE_TEXT];
    assert_true(read(slice_str(r->text), &v));
    assert_int_equal(v, r->value);
    write(v, text);
    assert_string_equal(text, r->again);
}

static void sizes(void **state)
{
    (void)state;
    static const struct reading good[] = {
        {"0", 0, "0"},         {"1", 1, "1"},
        {"4096", 4096, "4k"},  {"1000", 1000, "1000"},
        {"16k", 16384, "16k"}, {"16K", 16384, "16k"},
        {"1m", 1 << 20, "1m"}, {"3g", 3ull << 30, "3g"},
        {"0k", 0, "0"},        {"17179869183g", 17179869183ull << 30, "17179869183g"},
    };
    static const char *const bad[] = {"",
                                      "k",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1kb",
                                      "1.5k",
                                      "1t",
                                      "0x10",
                                      "1k1",
                                      "17179869184g",
                                      "18446744073709551616"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) reads_as(value_size, value_size_text, &good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t v = 7;
        assert_false(value_size(slice_str(bad[i]), &v));
        assert_int_equal(v, 0);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct reading good[] = {
        {"0", 0, "0"},
        {"0s", 0, "0"},
        {"1ms", NS_PER_MS, "1ms"},
        {"500ms", 500 * NS_PER_MS, "500ms"},
        {"10s", 10 * NS_PER_S, "10s"},
        {"1000ms", NS_PER_S, "1s"},
        {"90s", 90 * NS_PER_S, "90s"},
        {"2m", 120 * NS_PER_S, "2m"},
        {"24h", 86400 * NS_PER_S, "24h"},
    };
    static const char *const bad[] = {
        "", "10", "s", "-1s", "1.5s", "1d", "1us", "1 s", "1sm", "00", "18446744073709551615s"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        reads_as(value_duration, value_duration_text, &good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t v = 7;
        assert_false(value_duration(slice_str(bad[i]), &v));
        assert_int_equal(v, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
