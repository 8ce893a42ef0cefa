#include "http/trace.h"

#include "torc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ID     "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static void parsed(void **state)
{
    static const struct {
        const char *text, *again;
    } good[] = {
        {"00-" ID "-" PARENT "-01", "00-" ID "-" PARENT "-01"},
        {"00-" ID "-" PARENT "-00", "00-" ID "-" PARENT "-00"},
        {"00-" ID "-" PARENT "-03", "00-" ID "-" PARENT "-03"},
        {"00-" ID "-" PARENT "-fc", "00-" ID "-" PARENT "-00"},
        {"00-0000000000000000000000000000000f-" PARENT "-01",
         "00-0000000000000000000000000000000f-" PARENT "-01"},
        {"01-" ID "-" PARENT "-01", "00-" ID "-" PARENT "-01"},
        {"cc-" ID "-" PARENT "-01-what the future brings", "00-" ID "-" PARENT "-01"},
        {"fe-" ID "-" PARENT "-01-", "00-" ID "-" PARENT "-01"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct trace t;
        char text[TRACE_PARENT + 1];
        if (!trace_parse(slice_str(good[i].text), &t)) fail_msg("%s is refused", good[i].text);
        trace_format(&t, text);
        assert_string_equal(text, good[i].again);
    }
}

static void refused(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-" ID "-" PARENT,
        "00-" ID "-" PARENT "-",
        "00-" ID "-" PARENT "-1",
        "00-" ID "-" PARENT "-01-",
        "00-" ID "-" PARENT "-01-more",
        "00-" ID "-" PARENT "-011",
        "01-" ID "-" PARENT "-011",
        "01-" ID "-" PARENT "-01.more",
        "ff-" ID "-" PARENT "-01",
        "FE-" ID "-" PARENT "-01",
        "0-" ID "-" PARENT "-01",
        "000-" ID "-" PARENT "-01",
        "0x-" ID "-" PARENT "-01",
        " 00-" ID "-" PARENT "-01",
        "00_" ID "-" PARENT "-01",
        "00-" ID PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" ID "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-" PARENT "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-" PARENT "-01",
        "00-" ID "-00F067aa0ba902b7-01",
        "00-" ID "-" PARENT "-0A",
        "00-" ID "-" PARENT "-0g",
    };
    struct trace t;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (trace_parse(slice_str(bad[i]), &t)) fail_msg("%s is taken", bad[i]);
}

/* Each piece of a good one is too short, but for the whole. */
static void every_piece(void **state)
{
    static const char whole[] = "00-" ID "-" PARENT "-01";
    struct trace t;
    (void)state;
    for (size_t n = 0; n < sizeof whole; n++)
        assert_int_equal(trace_parse(slice_of(whole, n), &t), n == TRACE_PARENT);
}

static struct head_field field_at(const char *text, const char *name, const char *value)
{
    return (struct head_field){(uint16_t)(name - text), 11, (uint16_t)(value - text), TRACE_PARENT};
}

static void of_a_head(void **state)
{
    char text[] = "traceparentTRACEPARENT00-" ID "-" PARENT "-01";
    struct head h = {.text = text};
    struct trace t;
    (void)state;
    assert_false(trace_of(&h, &t));
    h.own_field[h.n_fields++] = field_at(text, text + 11, text + 22);
    assert_true(trace_of(&h, &t));
    assert_int_equal(t.parent, 0x00f067aa0ba902b7);
    h.own_field[h.n_fields++] = field_at(text, text, text + 22);
    assert_false(trace_of(&h, &t)); /* twice */
}

static void new_spans(void **state)
{
    enum { MANY = 1000 };
    static uint64_t span[MANY];
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        span[i] = trace_new_span();
        assert_true(span[i]);
        for (size_t k = 0; k < i; k++) assert_true(span[k] != span[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsed),    cmocka_unit_test(refused),   cmocka_unit_test(every_piece),
        cmocka_unit_test(of_a_head), cmocka_unit_test(new_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
