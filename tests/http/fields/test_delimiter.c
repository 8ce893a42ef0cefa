#include "http/fields/delimiter.h"

#include "../../base/random.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* In memory of exactly its size. */
static size_t find(const char *delimiter, const char *window, bool *found)
{
    size_t n = strlen(window);
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, window, n);
    size_t before = delimiter_find(slice_str(delimiter), slice_of(n ? copy : NULL, n), found);
    free(copy);
    return before;
}

static void expect(const char *window, size_t before, bool found)
{
    bool is = !found;
    size_t n = find("\r\n--x", window, &is);
    if (n != before || is != found) fail_msg("'%s': %zu, %d", window, n, is);
}

static void finds(void **state)
{
    (void)state;
    expect("\r\n--x", 0, true);
    expect("abc\r\n--x", 3, true);
    expect("abc\r\n--x\r\n--x", 3, true);
    expect("abc\r\n--xy", 3, true); /* what follows it is the caller's concern */
    expect("\r\n\r\n--x", 2, true);
    expect("\r\n-\r\n--x", 3, true);
}

static void keeps_what_may_be_one(void **state)
{
    (void)state;
    expect("", 0, false);
    expect("abc", 3, false);
    expect("\r", 0, false);
    expect("\r\n--", 0, false);
    expect("abc\r", 3, false);
    expect("abc\r\n", 3, false);
    expect("abc\r\n--", 3, false);
    expect("abc\r\n--y", 8, false);
    expect("\r\n\r\n", 2, false);
    expect("\r\n-\r", 3, false);
    expect("abc\n--x", 7, false);
}

/* By looking at each place, over short texts of few letters. */
static void model(const char *delimiter, const char *window, size_t *before, bool *found)
{
    size_t n = strlen(delimiter);
    for (*before = 0; window[*before]; ++*before) {
        size_t left = strlen(window + *before), part = left < n ? left : n;
        *found = left >= n;
        if (memcmp(window + *before, delimiter, part) == 0) return;
    }
    *found = false;
}

static void agrees_with_a_model(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char delimiter[6], window[16];
        size_t d = 1 + random_below(sizeof delimiter - 1), w = random_below(sizeof window);
        for (size_t k = 0; k < d; k++) delimiter[k] = (char)('a' + random_below(2));
        for (size_t k = 0; k < w; k++) window[k] = (char)('a' + random_below(2));
        delimiter[d] = window[w] = '\0';
        size_t want;
        bool is = false, found = false;
        model(delimiter, window, &want, &found);
        size_t n = find(delimiter, window, &is);
        if (n != want || is != found) fail_msg("'%s' in '%s': %zu, %d", delimiter, window, n, is);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(keeps_what_may_be_one),
        cmocka_unit_test(agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
