/* A line of a config file: read, and written so that it is read as the same value. */

#include "base/config_line.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char line[2048];

static const char *split(const char *text, slice *name, char **value)
{
    assert_true(strlen(text) < sizeof line);
    strcpy(line, text);
    return config_line_split(line, name, value);
}

static void expect(const char *text, const char *name, const char *value)
{
    slice found;
    char *read;
    assert_null(split(text, &found, &read));
    assert_true(slice_eq(found, slice_str(name)));
    if (value)
        assert_string_equal(read, value);
    else
        assert_null(read);
}

static void expect_wrong(const char *text, const char *why)
{
    slice name;
    char *value;
    const char *wrong = split(text, &name, &value);
    assert_non_null(wrong);
    assert_string_equal(wrong, why);
}

/* What stands outside quotes is taken as it is, quotes and backslashes within it, too. */
static void bare_values(void **state)
{
    (void)state;
    expect("", "", NULL);
    expect(" \t", "", NULL);
    expect("# a = b", "", NULL);
    expect(" # a = \"b\"", "", NULL);
    expect("a", "a", NULL);
    expect("a # = \"b\"", "a", NULL);
    expect("a=b", "a", "b");
    expect("\ta \t= \tb c\t # d", "a", "b c");
    expect("a = b#c=d", "a", "b#c=d");
    expect("a = #b", "a", "");
    expect("a =", "a", "");
    expect("a = \t", "a", "");
    expect("= b", "", "b");
    expect("a = b \"c # d\"", "a", "b \"c");
    expect("a = C:\\x41\\\\", "a", "C:\\x41\\\\");
    expect("a = 'b'", "a", "'b'");
}

static void values_in_quotes(void **state)
{
    (void)state;
    expect("a = \"\"", "a", "");
    expect("a=\"b\"", "a", "b");
    expect("a = \" b # c = d\t\" \t", "a", " b # c = d\t");
    expect("a = \"#\" # \"b\"", "a", "#");
    expect("a = \"\\\"b\\\\\"", "a", "\"b\\");
    expect("a = \"\\x0a\\x7F\\xc3\\xA4\\x0d\"", "a", "\n\x7f\xc3\xa4\r");
}

static void wrong_lines(void **state)
{
    static const char open[] = "a value that begins with \" ends with \"",
                      after[] = "after a value in quotes, there may only be a comment",
                      escape[] =
                          "in quotes, a backslash takes \\, \" or x and two hexadecimal digits",
                      control[] = "a line may have no control characters";
    (void)state;
    expect_wrong("a = \"", open);
    expect_wrong("a = \"b", open);
    expect_wrong("a = \"b\\\"", open);
    expect_wrong("a = \"b # c", open);
    expect_wrong("a = \"b\" c", after);
    expect_wrong("a = \"b\"c", after);
    expect_wrong("a = \"b\"# c", after);
    expect_wrong("a = \"b\"\"", after);
    expect_wrong("a = \"\\", escape);
    expect_wrong("a = \"\\n\"", escape);
    expect_wrong("a = \"\\x\"", escape);
    expect_wrong("a = \"\\x1\"", escape);
    expect_wrong("a = \"\\x1", escape);
    expect_wrong("a = \"\\xg0\"", escape);
    expect_wrong("a = \"\\x00\"", escape);
    expect_wrong("a = \"\rb\"", control);
    expect_wrong("a = b # \x1b", control);
    expect_wrong("a\x7f = b", control);
}

static void expect_back(slice value)
{
    char *text = malloc(config_value_size(value)), *read;
    slice name;
    assert_non_null(text);
    size_t n = config_value_put(value, text);
    assert_int_equal(n, strlen(text));
    assert_true(n < config_value_size(value));
    assert_null(strchr(text, '\n'));
    assert_int_equal(config_value_quoted(value), *text == '"');
    snprintf(line, sizeof line, "%s%s%s", "a = ", text, random_below(2) ? " # b" : "");
    assert_null(config_line_split(line, &name, &read));
    assert_true(slice_eq(slice_str(read), value));
    free(text);
}

static void written_values_are_read_back(void **state)
{
    static const char *const values[] = {"",    "a",     "/a b", "a#b",   "a #b", "#a",
                                         " a",  "a\t",   "\"",   "\"a\"", "a\"",  "\\",
                                         "a\\", "\\x41", "a\nb", "\x7f"};
    static const char often[] = " \t#\"\\=\r\nx0a";
    char value[200];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) expect_back(slice_str(values[i]));
    for (int i = 0; i < 20000; i++) {
        size_t n = random_below(random_below(sizeof value) + 1);
        for (size_t k = 0; k < n; k++)
            value[k] = random_below(2) ? often[random_below(sizeof often - 1)]
                                       : (char)(1 + random_below(255));
        expect_back(slice_of(value, n));
    }
}

/* What a file has had so far keeps its form: only what needs quotes gets them. */
static void most_values_are_written_as_they_are(void **state)
{
    static const char *const values[] = {
        "127.0.0.1:8080", "/srv/www",        "/a b",     "a#b", "a\"b",
        "a\\b",           "web/1.0 (\"x\")", "\xc3\xa4", "a\tb"};
    char text[100];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        config_value_put(slice_str(values[i]), text);
        assert_string_equal(text, values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bare_values),
        cmocka_unit_test(values_in_quotes),
        cmocka_unit_test(wrong_lines),
        cmocka_unit_test(written_values_are_read_back),
        cmocka_unit_test(most_values_are_written_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
