#include "load/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/torc-output-XXXXXX";

static const char *contents(void)
{
    static char text[200000];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

static void put(const char *bytes)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(bytes, f);
    assert_int_equal(fclose(f), 0);
}

static void write_new(void)
{
    struct output to;
    assert_int_equal(output_open(&to, path), 0);
    fputs("new", output_begin(&to));
    assert_int_equal(output_end(&to), 0);
    assert_string_equal(contents(), "new");
}

static void an_old_file_is_kept_until_it_is_written(void **state)
{
    static char old[100000];
    struct output to;
    (void)state;
    memset(old, 'x', sizeof old - 1);
    put(old);
    assert_int_equal(output_open(&to, path), 0);
    assert_string_equal(contents(), old);
    output_drop(&to);
    assert_string_equal(contents(), old);
    write_new();
}

static void a_new_file_is_removed_unless_written(void **state)
{
    struct output to;
    (void)state;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(output_open(&to, path), 0);
    assert_int_equal(access(path, F_OK), 0);
    output_drop(&to);
    assert_int_equal(access(path, F_OK), -1);
    write_new();
}

static void one_file_with_two_names_is_the_same(void **state)
{
    struct output a, b;
    char other[sizeof path + 1];
    (void)state;
    snprintf(other, sizeof other, "%sx", path);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(output_open(&a, path), 0);
    assert_int_equal(output_open(&b, other), 0);
    assert_true(output_same(&a, &b));
    output_drop(&b);
    assert_false(output_same(&a, &b));
    assert_int_equal(unlink(other), 0);
    assert_int_equal(output_open(&b, other), 0);
    assert_false(output_same(&a, &b));
    output_drop(&a);
    output_drop(&b);
    assert_int_equal(output_open(&a, "/dev/null"), 0);
    assert_int_equal(output_open(&b, "/dev/null"), 0);
    assert_false(output_same(&a, &b));
    output_drop(&a);
    output_drop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_file_is_kept_until_it_is_written),
        cmocka_unit_test(a_new_file_is_removed_unless_written),
        cmocka_unit_test(one_file_with_two_names_is_the_same),
    };
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
