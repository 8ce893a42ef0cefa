/* The JSON writer, with buffers of every size. Escaping of what clients send is tested with the
 * access log. */

#include "base/json.h"

#include "comma_locale.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL_MAX = 64 };

/* Moves the content of a small buffer to a large one. */
struct moving {
    struct writer out;
    char small[SMALL_MAX];
    char all[1024];
    size_t len;
};

static void move(struct writer *out)
{
    struct moving *m = container_of(out, struct moving, out);
    size_t n = (size_t)(out->at - m->small);
    assert_true(m->len + n < sizeof m->all);
    memcpy(m->all + m->len, m->small, n);
    m->all[m->len += n] = '\0';
    out->at = m->small;
}

static const char want[] =
    "{\"none\":{},\"list\":[1,-2,[],[true,false,null],\"a\"],\"text\":\"\\\"\\\\\\u000a\xc3\xa9"
    "\\uf0ff\",\"absent\":null,\"zero\":0,\"most\":18446744073709551615,"
    "\"least\":-9223372036854775808,\"fixed\":1.50,\"third\":0.333333333333333,\"big\":50000,"
    "\"nan\":null,\"inf\":null}";

static void write_all(struct json *j)
{
    json_begin(j, NULL, '{');
    json_begin(j, "none", '{');
    json_end(j, '}');
    json_begin(j, "list", '[');
    json_put_u64(j, NULL, 1);
    json_put_i64(j, NULL, -2);
    json_begin(j, NULL, '[');
    json_end(j, ']');
    json_begin(j, NULL, '[');
    json_put_bool(j, NULL, true);
    json_put_bool(j, NULL, false);
    json_put_null(j, NULL);
    json_end(j, ']');
    json_put_string(j, NULL, "a");
    json_end(j, ']');
    json_put_text(j, "text", SLICE("\"\\\n\xc3\xa9\xff"));
    json_put_string(j, "absent", NULL);
    json_put_u64(j, "zero", 0);
    json_put_u64(j, "most", UINT64_MAX);
    json_put_i64(j, "least", INT64_MIN);
    json_put_double(j, "fixed", 1.5, 2);
    json_put_double(j, "third", 1.0 / 3, -1);
    json_put_double(j, "big", 50000, -1);
    json_put_double(j, "nan", __builtin_nan(""), 1);
    json_put_double(j, "inf", -__builtin_inf(), -1);
    json_end(j, '}');
}

static void buffers_of_every_size(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SMALL_MAX; size++) {
        struct moving m = {.out = {m.small, m.small + size, move}};
        struct json j = {&m.out, false};
        write_all(&j);
        move(&m.out);
        assert_string_equal(m.all, want);
    }
}

static void files(void **state)
{
    (void)state;
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    struct file_writer w;
    file_writer_begin(&w, f);
    struct json j = {&w.out, false};
    for (int i = 0; i < 100; i++) write_all(&j);
    file_writer_end(&w);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(size, 100 * sizeof want - 1); /* plus a comma between them */
    assert_memory_equal(text, want, sizeof want - 1);
    assert_string_equal(text + size - (sizeof want - 1), want);
    free(text);
}

static void printf_output_is_bounded(void **state)
{
    (void)state;
    struct moving m = {.out = {m.small, m.small + SMALL_MAX, move}};
    writer_printf(&m.out, "%600d|", 1);
    move(&m.out);
    assert_int_equal(m.len, WRITER_PRINTF_MAX);
}

static void decimals(void **state)
{
    (void)state;
    char got[DECIMAL_MAX + 1], text[DECIMAL_MAX + 1];
    for (uint64_t power = 1, last = 0; power > last; last = power, power *= 10)
        for (uint64_t v = power - 1; v <= power + 1; v++) {
            *decimal_put(got, v) = '\0';
            snprintf(text, sizeof text, "%" PRIu64, v);
            assert_string_equal(got, text);
        }
    *decimal_put(got, UINT64_MAX) = '\0';
    assert_string_equal(got, "18446744073709551615");
}

static void numbers_have_a_point_in_any_locale(void **state)
{
    char text[64];
    struct moving m = {.out = {m.small, m.small + SMALL_MAX, move}};
    (void)state;
    bool has_comma = comma_locale_enter();
    snprintf(text, sizeof text, "%.1f", 0.5);
    if (has_comma) assert_string_equal(text, "0,5");
    struct json j = {.out = &m.out};
    json_put_double(&j, NULL, 0.25, 2);
    writer_printf(&m.out, " %g %s", 1.5, "x");
    move(&m.out);
    assert_string_equal(m.all, "0.25 1.5 x");
    snprintf(text, sizeof text, "%.1f", 0.5);
    if (has_comma) assert_string_equal(text, "0,5"); /* what else is printed is the program's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_of_every_size),
        cmocka_unit_test(files),
        cmocka_unit_test(printf_output_is_bounded),
        cmocka_unit_test(decimals),
        cmocka_unit_test_teardown(numbers_have_a_point_in_any_locale, comma_locale_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
