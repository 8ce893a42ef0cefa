#include "files/select.h"

#include "http/fields/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A version of 1000 bytes with the tag "t", modified at 784111777. */
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define EXACT  "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"
#define TAG    "\"t\""

static const struct static_version version = {
    .size = 1000, .modified = 784111777, .etag = {TAG, sizeof TAG - 1}};

struct condition {
    int status;
    const char *if_match, *if_unmodified, *if_none_match, *if_modified, *if_range, *range;
};

/* RFC 9110, 13.2.2, step by step. */
static const struct condition conditions[] = {
    {200, 0, 0, 0, 0, 0, 0},
    {200, TAG, 0, 0, 0, 0, 0},
    {200, "*", 0, 0, 0, 0, 0},
    {200, "\"x\", " TAG, 0, 0, 0, 0, 0},
    {412, "\"x\"", 0, 0, 0, 0, 0},
    {412, "W/" TAG, 0, 0, 0, 0, 0},
    {412, "", 0, 0, 0, 0, 0},
    {200, TAG, BEFORE, 0, 0, 0, 0}, /* If-Unmodified-Since is ignored if If-Match is present */
    {412, 0, BEFORE, 0, 0, 0, 0},
    {200, 0, EXACT, 0, 0, 0, 0},
    {200, 0, AFTER, 0, 0, 0, 0},
    {200, 0, "yesterday", 0, 0, 0, 0},
    {304, 0, 0, TAG, 0, 0, 0},
    {304, 0, 0, "W/" TAG, 0, 0, 0},
    {304, 0, 0, "\"x\",W/" TAG, 0, 0, 0},
    {304, 0, 0, "*", 0, 0, 0},
    {200, 0, 0, "\"x\"", 0, 0, 0},
    {200, 0, 0, "\"x\"", EXACT, 0, 0}, /* likewise If-Modified-Since with If-None-Match */
    {304, 0, 0, TAG, BEFORE, 0, 0},
    {304, 0, 0, 0, EXACT, 0, 0},
    {304, 0, 0, 0, AFTER, 0, 0},
    {200, 0, 0, 0, BEFORE, 0, 0},
    {200, 0, 0, 0, "today", 0, 0},
    {412, "\"x\"", 0, TAG, 0, 0, 0}, /* the order of the steps */
    {412, 0, BEFORE, TAG, 0, 0, 0},
    {304, TAG, 0, TAG, 0, 0, 0},
    {304, TAG, 0, 0, EXACT, 0, "bytes=0-1"},
    {412, "\"x\"", 0, 0, 0, 0, "bytes=0-1"},
    {206, 0, 0, 0, 0, 0, "bytes=0-1"},
    {206, TAG, 0, "\"x\"", 0, 0, "bytes=0-1"},
    {416, 0, 0, 0, 0, 0, "bytes=1000-"},
    {200, 0, 0, 0, 0, 0, "lines=0-1"},
    {200, 0, 0, 0, 0, 0, "bytes=1-0"},
    {206, 0, 0, 0, 0, TAG, "bytes=0-1"},
    {200, 0, 0, 0, 0, EXACT, "bytes=0-1"}, /* no strong validator (8.8.2.2) */
    {200, 0, 0, 0, 0, "Sunday, 06-Nov-94 08:49:37 GMT", "bytes=0-1"},
    {200, 0, 0, 0, 0, "W/" TAG, "bytes=0-1"},
    {200, 0, 0, 0, 0, "\"x\"", "bytes=0-1"},
    {200, 0, 0, 0, 0, "*", "bytes=0-1"},
    {200, 0, 0, 0, 0, "\"x\"," TAG, "bytes=0-1"},
    {200, 0, 0, 0, 0, BEFORE, "bytes=0-1"},
    {200, 0, 0, 0, 0, AFTER, "bytes=0-1"},
    {200, 0, 0, 0, 0, "", "bytes=0-1"},
    {200, 0, 0, 0, 0, "\"x\"", "bytes=1000-"}, /* not 416: the range is of another version */
    {200, 0, 0, 0, 0, TAG, 0},
};

static struct selection selection_of(const struct condition *c)
{
    const char *const text[SELECT_FIELDS] = {
        [SELECT_IF_MATCH] = c->if_match,           [SELECT_IF_UNMODIFIED_SINCE] = c->if_unmodified,
        [SELECT_IF_NONE_MATCH] = c->if_none_match, [SELECT_IF_MODIFIED_SINCE] = c->if_modified,
        [SELECT_IF_RANGE] = c->if_range,           [SELECT_RANGE] = c->range,
    };
    struct selection selection = {0};
    for (int i = 0; i < SELECT_FIELDS; i++)
        if (text[i]) selection.value[i] = slice_str(text[i]);
    return selection;
}

static void order_of_conditions(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        struct http_range range[RANGES_MAX];
        int n = 0;
        struct selection selection = selection_of(&conditions[i]);
        int status = select_status(&selection, &version, true, range, &n);
        if (status != conditions[i].status)
            fail_msg("condition %zu: %d, not %d", i, status, conditions[i].status);
        if (status != 206) continue;
        assert_int_equal(n, 1);
        assert_true(range[0].from == 0 && range[0].to == 1);
    }
}

static void ranges_apply_to_get_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        struct http_range range[RANGES_MAX];
        int n = 0, want = conditions[i].status;
        struct selection selection = selection_of(&conditions[i]);
        if (want == 206 || want == 416) want = 200;
        assert_int_equal(select_status(&selection, &version, false, range, &n), want);
        assert_int_equal(n, 0);
    }
}

static void several_ranges(void **state)
{
    (void)state;
    struct http_range range[RANGES_MAX];
    int n = 0;
    struct selection selection = {.value[SELECT_RANGE] = SLICE("bytes=0-9, 2000-, -5")};
    assert_int_equal(select_status(&selection, &version, true, range, &n), 206);
    assert_int_equal(n, 2);
    assert_true(range[1].from == 995 && range[1].to == 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_conditions),
        cmocka_unit_test(ranges_apply_to_get_only),
        cmocka_unit_test(several_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
