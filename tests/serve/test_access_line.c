/* How a line of the access log escapes what the client sent. */

#include "serve/access_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *ring;

static int make_ring(void **state)
{
    (void)state;
    ring = malloc(ACCESS_BUFFER_SIZE);
    return ring ? 0 : -1;
}

static int free_ring(void **state)
{
    (void)state;
    free(ring);
    return 0;
}

/* The user agent as a line has it, without its quotes, for a client that sent these bytes. */
static slice logged_agent(slice bytes, enum log_format format)
{
    struct access_entry e = {.agent = bytes, .status = 200};
    size_t len = access_line_write(ring, 0, format, &e, SLICE("now"));
    assert_true(len <= access_line_bound(&e));
    const char *before = format == LOG_JSON ? "\"user_agent\":\"" : "\"-\" \"";
    const char *after = format == LOG_JSON ? "\"}\n" : "\"\n";
    const char *at = memmem(ring, len, before, strlen(before));
    assert_non_null(at);
    at += strlen(before);
    size_t n = (size_t)(ring + len - at);
    assert_true(n >= strlen(after));
    n -= strlen(after);
    assert_memory_equal(at + n, after, strlen(after));
    return slice_of(at, n);
}

static void assert_logged(slice bytes, const char *want)
{
    slice got = logged_agent(bytes, LOG_JSON);
    if (!slice_eq(got, slice_str(want)))
        fail_msg("%.*s was logged instead of %s", (int)got.len, got.ptr, want);
}

#define LOGS(bytes, want) assert_logged(SLICE(bytes), want)

static void ascii_is_kept_or_escaped(void **state)
{
    (void)state;
    LOGS("", "");
    LOGS("a ~", "a ~");
    LOGS("\"\\/", "\\\"\\\\/");
    LOGS("\t\n\x1b\x7f", "\\u0009\\u000a\\u001b\\u007f");
    LOGS("a\0b", "a\\u0000b");
}

static void valid_utf8_is_kept(void **state)
{
    (void)state;
    LOGS("\xc3\xa9", "\xc3\xa9");
    LOGS("caf\xc3\xa9!", "caf\xc3\xa9!");
    LOGS("\xe2\x82\xac", "\xe2\x82\xac");
    LOGS("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
    LOGS("\"\xd0\x96\"\xe6\xb0\xb4", "\\\"\xd0\x96\\\"\xe6\xb0\xb4");
    /* The first and last character of each length, and the neighbours of the surrogates. */
    LOGS("\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf");
    LOGS("\xe0\xa0\x80\xef\xbf\xbf", "\xe0\xa0\x80\xef\xbf\xbf");
    LOGS("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    LOGS("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
}

static void invalid_utf8_is_escaped_by_byte(void **state)
{
    (void)state;
    /* Continuation bytes alone, and Latin-1. */
    LOGS("\x80", "\\uf080");
    LOGS("a\xbf\x80z", "a\\uf0bf\\uf080z");
    LOGS("caf\xe9", "caf\\uf0e9");
    LOGS("\xc3\xa9\xa9", "\xc3\xa9\\uf0a9");
    /* Truncated, at the end and before another character. */
    LOGS("\xc3", "\\uf0c3");
    LOGS("\xe2\x82", "\\uf0e2\\uf082");
    LOGS("\xf0\x9f\x98", "\\uf0f0\\uf09f\\uf098");
    LOGS("\xc3\"", "\\uf0c3\\\"");
    LOGS("\xe2\x82xy", "\\uf0e2\\uf082xy");
    LOGS("\xe2\xc3\xa9", "\\uf0e2\xc3\xa9");
    LOGS("\xf0\x9f\xe2\x82\xac", "\\uf0f0\\uf09f\xe2\x82\xac");
    /* Overlong. */
    LOGS("\xc0\x80", "\\uf0c0\\uf080");
    LOGS("\xc0\xa2", "\\uf0c0\\uf0a2");
    LOGS("\xc1\xbf", "\\uf0c1\\uf0bf");
    LOGS("\xe0\x80\xa2", "\\uf0e0\\uf080\\uf0a2");
    LOGS("\xe0\x9f\xbf", "\\uf0e0\\uf09f\\uf0bf");
    LOGS("\xf0\x8f\xbf\xbf", "\\uf0f0\\uf08f\\uf0bf\\uf0bf");
    /* Surrogates, alone and as a pair. */
    LOGS("\xed\xa0\x80", "\\uf0ed\\uf0a0\\uf080");
    LOGS("\xed\xbf\xbf", "\\uf0ed\\uf0bf\\uf0bf");
    LOGS("\xed\xa0\xbd\xed\xb8\x80", "\\uf0ed\\uf0a0\\uf0bd\\uf0ed\\uf0b8\\uf080");
    /* Beyond U+10FFFF, and bytes that begin no sequence. */
    LOGS("\xf4\x90\x80\x80", "\\uf0f4\\uf090\\uf080\\uf080");
    LOGS("\xf5\x80\x80\x80", "\\uf0f5\\uf080\\uf080\\uf080");
    LOGS("\xf8\x90\x80\x80", "\\uf0f8\\uf090\\uf080\\uf080");
    LOGS("\xf8\x88\x80\x80\x80", "\\uf0f8\\uf088\\uf080\\uf080\\uf080");
    LOGS("\xfe\xff", "\\uf0fe\\uf0ff");
}

/* A terminal may act on C1 controls; U+F080 to U+F0FF must always stand for an escaped byte. */
static void controls_and_escape_range_are_escaped(void **state)
{
    (void)state;
    LOGS("\xc2\x80", "\\uf0c2\\uf080");
    LOGS("\xc2\x9b"
         "0m",
         "\\uf0c2\\uf09b0m");
    LOGS("\xc2\x9f", "\\uf0c2\\uf09f");
    LOGS("\xef\x82\x80", "\\uf0ef\\uf082\\uf080");
    LOGS("\xef\x83\xbf", "\\uf0ef\\uf083\\uf0bf");
    LOGS("\xef\x81\xbf\xef\x84\x80", "\xef\x81\xbf\xef\x84\x80");
}

static void combined_format_is_ascii(void **state)
{
    (void)state;
    slice got = logged_agent(SLICE("\xc3\xa9\"\\\n~"), LOG_COMBINED);
    static const char want[] = "\\xc3\\xa9\\x22\\x5c\\x0a~";
    assert_int_equal(got.len, sizeof want - 1);
    assert_memory_equal(got.ptr, want, sizeof want - 1);
}

static size_t encode(uint32_t code, char *out)
{
    static const unsigned char mark[] = {[2] = 0xc0, [3] = 0xe0, [4] = 0xf0};
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(mark[n] | code);
    return n;
}

/* All but the escaped ones, 256 at a time. */
static void every_other_character_is_kept(void **state)
{
    (void)state;
    char bytes[256 * 4];
    for (uint32_t row = 0; row <= 0x10ff; row++) {
        size_t n = 0;
        if (row >= 0xd8 && row <= 0xdf) continue;
        for (uint32_t code = row << 8; code < (row + 1) << 8; code++)
            if (code >= 0xa0 && !(code >= 0xf080 && code <= 0xf0ff)) n += encode(code, bytes + n);
        slice got = logged_agent(slice_of(bytes, n), LOG_JSON);
        if (!slice_eq(got, slice_of(bytes, n))) fail_msg("U+%02X00 to U+%02XFF", row, row);
    }
}

/* Two bytes are a character only if they are a valid sequence of two. */
static void every_pair_of_bytes_is_classified(void **state)
{
    (void)state;
    for (unsigned a = 0x80; a < 0x100; a++) {
        for (unsigned b = 0x80; b < 0x100; b++) {
            char bytes[2] = {(char)a, (char)b}, want[16];
            bool whole = a >= 0xc2 && a <= 0xdf && b <= 0xbf && (a > 0xc2 || b >= 0xa0);
            if (whole)
                snprintf(want, sizeof want, "%.2s", bytes);
            else
                snprintf(want, sizeof want, "\\uf0%02x\\uf0%02x", a, b);
            assert_logged(slice_of(bytes, 2), want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ascii_is_kept_or_escaped),
        cmocka_unit_test(valid_utf8_is_kept),
        cmocka_unit_test(invalid_utf8_is_escaped_by_byte),
        cmocka_unit_test(controls_and_escape_range_are_escaped),
        cmocka_unit_test(combined_format_is_ascii),
        cmocka_unit_test(every_other_character_is_kept),
        cmocka_unit_test(every_pair_of_bytes_is_classified),
    };
    return cmocka_run_group_tests(tests, make_ring, free_ring);
}
