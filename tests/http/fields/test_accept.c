#include "http/fields/accept.h"

#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const slice ours[] = {SLICE("br"), SLICE("zstd"), SLICE("gzip")};

enum { IDENTITY = -1, BR, ZSTD, GZIP };

static int choose(const char *field)
{
    return accept_encoding(slice_str(field), ours, ARRAY_LEN(ours));
}

static void chooses(const char *field, int want)
{
    int got = choose(field);
    if (got != want) fail_msg("'%s': %d, not %d", field, got, want);
}

static void by_weight(void **state)
{
    (void)state;
    chooses("gzip", GZIP);
    chooses("GZip", GZIP);
    chooses("gzip, deflate, br, zstd", BR);
    chooses("gzip, zstd", ZSTD);
    chooses("gzip;q=1.0, br;q=0.9", GZIP);
    chooses("gzip;q=0.5, br;q=0.5, zstd;q=0.501", ZSTD);
    chooses("gzip;q=0.001", GZIP);
    chooses("br;q=0.999", BR);
    chooses("gzip;q=0.8, br;q=0.80, zstd;q=0.800", BR);
    chooses("br;q=0, gzip", GZIP);
    chooses("br;q=0.000,gzip;q=0,zstd;q=0.", IDENTITY);
    chooses("br;Q=0.1 , gzip ; q=0.2", GZIP);
    chooses("\tgzip\t;\tq=0.2\t,\tbr;q=0.1", GZIP);
    chooses(",, gzip ,,", GZIP);
    chooses("deflate, compress", IDENTITY);
    chooses("gzipp, xbr", IDENTITY);
}

static void absent_or_empty_means_identity(void **state)
{
    (void)state;
    assert_int_equal(accept_encoding((slice){NULL, 0}, ours, 3), -1);
    chooses("", IDENTITY);
    chooses(" , ", IDENTITY);
    assert_int_equal(accept_encoding(SLICE("gzip, *"), ours, 0), -1);
}

static void star(void **state)
{
    (void)state;
    chooses("*", BR);
    chooses("*;q=0.1", BR);
    chooses("br;q=0, *", ZSTD);
    chooses("br;q=0.1, *;q=0.5", ZSTD);
    chooses("gzip, *;q=0.5", GZIP);
    chooses("*;q=0", IDENTITY);
    chooses("*;q=0, gzip", GZIP);
    chooses("br;q=0, zstd;q=0, gzip;q=0, *", IDENTITY);
}

static void identity(void **state)
{
    (void)state;
    chooses("identity", IDENTITY);
    chooses("identity, gzip", GZIP); /* on a tie the coding wins */
    chooses("identity;q=0.5, gzip;q=0.4", IDENTITY);
    chooses("identity;q=0.4, gzip;q=0.5", GZIP);
    chooses("IDENTITY;q=0.5, gzip;q=0.4", IDENTITY);
    chooses("identity;q=0", IDENTITY);
    chooses("identity;q=0, gzip;q=0.1", GZIP);
    chooses("identity;q=0, gzip;q=0", IDENTITY);
    chooses("identity;q=0, *", BR);
    chooses("identity;q=0, *;q=0.5, br;q=0, zstd;q=0, gzip;q=0.4", GZIP);
    chooses("gzip;q=0, identity;q=0, *;q=0", IDENTITY);
    /* "*" includes identity, so this prefers identity to gzip. */
    chooses("gzip;q=0.5, br;q=0, zstd;q=0, *", IDENTITY);
}

static void maximum_number_of_codings(void **state)
{
    (void)state;
    const slice most[CODINGS_MAX] = {SLICE("a"), SLICE("b"), SLICE("c"), SLICE("d"),
                                     SLICE("e"), SLICE("f"), SLICE("g"), SLICE("h")};
    assert_int_equal(accept_encoding(SLICE("x, h"), most, CODINGS_MAX), CODINGS_MAX - 1);
    assert_int_equal(accept_encoding(SLICE("*"), most, CODINGS_MAX), 0);
    assert_int_equal(accept_encoding(SLICE("h"), most, CODINGS_MAX - 1), -1);
}

static void aliases(void **state)
{
    (void)state;
    chooses("x-gzip", GZIP);
    chooses("X-GZIP;q=0.5", GZIP);
    chooses("x-br", IDENTITY);
    chooses("x-gzip;q=0, *", BR);
    const slice compress[] = {SLICE("compress")};
    assert_int_equal(accept_encoding(SLICE("x-compress"), compress, 1), 0);
    assert_int_equal(accept_encoding(SLICE("x-gzip"), compress, 1), -1);
}

static void repeated_members(void **state)
{
    (void)state;
    chooses("gzip;q=0, gzip", GZIP);
    chooses("gzip, gzip;q=0", IDENTITY);
}

/* A malformed weight is not taken for acceptance. */
static void malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "gzip;q=1.001", "gzip;q=2",       "gzip;q=-1",  "gzip;q=",    "gzip;q",
        "gzip;",        "gzip;q=0.5555",  "gzip;q=.5",  "gzip;q=1.1", "gzip;q=a",
        "gzip;q=0,5",   "gzip;q=0.5;q=1", "gzip;q = 1", "gzip;q= 1",  "gzip;q =1",
        "gzip;x=1",     "gzip;q=1.0000",  "gzip;q=01",  "gzip;q=1e0", "gzip;q=0.a",
        "gz ip",        "gzip q=1",       ";q=1",       "\"gzip\"",   "gzip;q=\"1\"",
        "gzip/1",       "gzip;q=0.5 x",   "gzip;qq=1",  "gzip;q=0x1", "=",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) chooses(bad[i], IDENTITY);
    chooses("gzip;q=nonsense, br;q=0.1", BR);
    chooses("@@@, gzip", GZIP);
    chooses("gzip;q=nonsense, *;q=0.1, br;q=0, zstd;q=0", IDENTITY);
    chooses("gzip;q=1., br;q=0.9", GZIP);
    chooses("gzip;q=1.000, br;q=0.999", GZIP);
    chooses("br;q=0.01, gzip;q=0.1", GZIP);
    assert_int_equal(accept_encoding(SLICE("gzip\0"), ours, 3), -1);
}

static bool names(slice field, slice coding)
{
    for (size_t i = 0; i + coding.len <= field.len; i++)
        if (slice_ieq(slice_of(field.ptr + i, coding.len), coding)) return true;
    return false;
}

/* A chosen coding is listed, or "*" is. */
static void mutations(void **state)
{
    (void)state;
    size_t count[4] = {0};
    for (int i = 0; i < 200000; i++) {
        slice s = mutate(SLICE("gzip;q=0.5, br;q=0.2,*;q=0.1, identity;q=0.3"),
                         SLICE("01.,;q= *gzipbrstdx-"));
        int got = accept_encoding(s, ours, ARRAY_LEN(ours));
        assert_in_range(got + 1, 0, 3);
        count[got + 1]++;
        if (got >= 0) assert_true(names(s, ours[got]) || names(s, SLICE("*")));
        free((char *)s.ptr);
    }
    for (int i = 0; i < 4; i++) assert_true(count[i] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_weight),
        cmocka_unit_test(absent_or_empty_means_identity),
        cmocka_unit_test(star),
        cmocka_unit_test(identity),
        cmocka_unit_test(maximum_number_of_codings),
        cmocka_unit_test(aliases),
        cmocka_unit_test(repeated_members),
        cmocka_unit_test(malformed),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
