#include "http/fields/range.h"

#include "mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* `want` is "0-4,9-9" for ranges, or the plain result. */
static void ranges(const char *field, uint64_t size, const char *want)
{
    struct http_range out[RANGES_MAX];
    char got[RANGES_MAX * 44] = "";
    int n = range_parse(slice_str(field), size, out), at = 0;
    if (n <= 0) snprintf(got, sizeof got, "%d", n);
    for (int i = 0; i < n; i++)
        at += snprintf(got + at, sizeof got - (size_t)at, "%s%llu-%llu", i ? "," : "",
                       (unsigned long long)out[i].from, (unsigned long long)out[i].to);
    if (strcmp(got, want) != 0)
        fail_msg("'%s' of %llu: %s, not %s", field, (unsigned long long)size, got, want);
}

static void single(void **state)
{
    (void)state;
    ranges("bytes=0-499", 1000, "0-499");
    ranges("bytes=500-", 1000, "500-999");
    ranges("bytes=-500", 1000, "500-999");
    ranges("bytes=0-0", 1000, "0-0");
    ranges("bytes=999-999", 1000, "999-999");
    ranges("bytes=999-1000", 1000, "999-999");
    ranges("bytes=0-", 1, "0-0");
    ranges("bytes=-1", 1, "0-0");
    ranges("bytes=-1000", 1000, "0-999");
    ranges("bytes=-1001", 1000, "0-999");
    ranges("bytes=0-99999999999999999999999999", 1000, "0-999");
    ranges("bytes=-99999999999999999999999999", 1000, "0-999");
    ranges("bytes=0-18446744073709551615", 1000, "0-999");
    ranges("bytes=000-004", 1000, "0-4");
    ranges("BYTES=0-1", 1000, "0-1");
    ranges(" bytes=0-1\t", 1000, "0-1");
    ranges("bytes=0-", UINT64_MAX, "0-18446744073709551614");
    ranges("bytes=-1", UINT64_MAX, "18446744073709551614-18446744073709551614");
}

static void several(void **state)
{
    (void)state;
    ranges("bytes=0-0,-1", 1000, "0-0,999-999");
    ranges("bytes=500-600,601-999", 1000, "500-600,601-999");
    ranges("bytes=9-9, 0-4", 1000, "9-9,0-4"); /* in the order requested */
    ranges("bytes=0-0 , 2-2\t,\t4-4", 1000, "0-0,2-2,4-4");
    ranges("bytes=,0-0,,2-2, ,", 1000, "0-0,2-2");
    ranges("bytes=0-0,1000-,5-5", 1000, "0-0,5-5");
    ranges("bytes=5000-6000,-0,7-7", 1000, "7-7");
}

static void unsatisfiable(void **state)
{
    (void)state;
    ranges("bytes=1000-", 1000, "-1");
    ranges("bytes=1000-1001", 1000, "-1");
    ranges("bytes=-0", 1000, "-1");
    ranges("bytes=1000-,2000-3000,-0", 1000, "-1");
    ranges("bytes=99999999999999999999999-", 1000, "-1");
    ranges("bytes=18446744073709551615-", UINT64_MAX, "-1");
}

static void empty_representation(void **state)
{
    (void)state;
    ranges("bytes=0-", 0, "-1");
    ranges("bytes=0-0", 0, "-1");
    ranges("bytes=-0", 0, "-1");
    ranges("bytes=-1", 0, "0"); /* satisfiable, and the whole of it: 200 */
    ranges("bytes=0-0,-1", 0, "0");
    ranges("bytes=x", 0, "0");
}

static void ignored(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "bytes",
        "bytes=",
        "bytes= ",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=5-4",
        "bytes=0-1,5-4",
        "bytes=0-1,x",
        "bytes=0-1-2",
        "bytes=0",
        "bytes=a-b",
        "bytes=0-b",
        "bytes=a-0",
        "bytes=+0-1",
        "bytes=0-+1",
        "bytes=0 - 1",
        "bytes=0- 1",
        "bytes=0 -1",
        "bytes=0x0-1",
        "bytes=0-1;2-3",
        "bytes 0-1",
        "bytes =0-1",
        "bytes=bytes=0-1",
        "byte=0-1",
        "items=0-1",
        "=0-1",
        "0-1",
        "bytes=0-1/1000",
        "bytes=*",
        "bytes=-1-",
        "bytes=0-1\r",
        "bytes=0-\xb1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) ranges(bad[i], 1000, "0");
    struct http_range out[RANGES_MAX];
    assert_int_equal(range_parse((slice){NULL, 0}, 1000, out), 0);
    assert_int_equal(range_parse(SLICE("bytes=0-1\0"), 1000, out), 0);
}

static void too_many(void **state)
{
    (void)state;
    char field[200] = "bytes=0-0", want[200] = "0-0";
    for (int i = 1; i < RANGES_MAX; i++) {
        char one[16];
        snprintf(one, sizeof one, ",%d-%d", i * 2, i * 2);
        strcat(field, one);
        strcat(want, one);
    }
    ranges(field, 1000, want);
    strcat(field, ",900-900");
    ranges(field, 1000, "0");

    /* Unsatisfiable ranges count as well. */
    char beyond[200] = "bytes=1000-";
    for (int i = 1; i < RANGES_MAX; i++) strcat(beyond, ",1000-");
    ranges(beyond, 1000, "-1");
    strcat(beyond, ",1000-");
    ranges(beyond, 1000, "0");
}

static void overlapping(void **state)
{
    (void)state;
    ranges("bytes=0-999,0-999", 1000, "0-999,0-999");
    ranges("bytes=0-999,0-998,0-0", 1000, "0-999,0-998,0-0");
    ranges("bytes=0-999,0-999,0-0", 1000, "0");
    ranges("bytes=0-,0-,0-,0-", 1000, "0");
    ranges("bytes=0-,0-,0-", 1, "0");
    ranges("bytes=0-,0-", UINT64_MAX, "0"); /* the sum overflows */
}

static void mutations(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 10, 1000, UINT64_MAX};
    size_t count[3] = {0};
    for (int i = 0; i < 300000; i++) {
        slice s = mutate(i & 1 ? SLICE("bytes=0-9,5-, -3 ,100-200") : SLICE("bytes=5-20"),
                         SLICE("0123456789-,= b"));
        uint64_t size = sizes[i % 5], sum = 0;
        struct http_range out[RANGES_MAX];
        int n = range_parse(s, size, out);
        assert_in_range(n + 1, 0, RANGES_MAX + 1);
        count[n < 0 ? 0 : n == 0 ? 1 : 2]++;
        for (int k = 0; k < n; k++) {
            assert_true(out[k].from <= out[k].to && out[k].to < size);
            assert_false(__builtin_add_overflow(sum, out[k].to - out[k].from + 1, &sum));
        }
        assert_true(sum <= size || sum - size <= size);
        free((char *)s.ptr);
    }
    for (int i = 0; i < 3; i++) assert_true(count[i] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single),        cmocka_unit_test(several),
        cmocka_unit_test(unsatisfiable), cmocka_unit_test(empty_representation),
        cmocka_unit_test(ignored),       cmocka_unit_test(too_many),
        cmocka_unit_test(overlapping),   cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
