#include "http/fields/parameter.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* What comes of the parameters in `text`, as "name=value|name=value", with " error" at the end if
 * they are malformed. Each is read in memory of exactly its size. */
static void reads_as(const char *text, const char *want)
{
    char got[200];
    size_t n = strlen(text), len = 0;
    int rc;
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    slice rest = slice_of(copy, n), name, value;
    while ((rc = parameter_next(&rest, &name, &value)) > 0)
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%.*s=%.*s", len ? "|" : "",
                                (int)name.len, name.ptr, (int)value.len, value.ptr);
    snprintf(got + len, sizeof got - len, "%s", rc < 0 ? " error" : "");
    assert_string_equal(got, want);
    free(copy);
}

static void plain_values(void **state)
{
    (void)state;
    reads_as("", "");
    reads_as("a=1", "a=1");
    reads_as(" a=1", "a=1");
    reads_as("; a=1 ;\tb=2;", "a=1|b=2");
    reads_as(";;;", "");
    reads_as("a=", "a=");
    reads_as("a=; b=1", "a=|b=1");
    reads_as("a= 1 ", "a=1");
    reads_as("a=b=c", "a=b=c");
    reads_as("filename=a b.txt; x=y", "filename=a b.txt|x=y");
    reads_as("filename*=UTF-8''%e2%82%ac", "filename*=UTF-8''%e2%82%ac");
    reads_as("a=1\"2", "a=1\"2");
}

static void quoted_values(void **state)
{
    (void)state;
    reads_as("a=\"\"", "a=");
    reads_as("a=\"1; 2\"; b=3", "a=1; 2|b=3");
    reads_as("a=\"1\" ; b=\"2\"", "a=1|b=2");
    reads_as("a=\"q\\\"q\"", "a=q\"q");
    reads_as("a=\"b\\\\\"", "a=b\\");
    reads_as("a=\"C:\\dir\\file\"", "a=C:\\dir\\file"); /* as browsers send it */
    reads_as("a=\"\\\\\\\"\"", "a=\\\"");
}

static void malformed(void **state)
{
    (void)state;
    reads_as("a", " error");
    reads_as("=1", " error");
    reads_as("a b=1", " error");
    reads_as("a =1", " error");
    reads_as("(=1", " error");
    reads_as("a=1; b", "a=1 error");
    reads_as("a=\"1", " error");
    reads_as("a=\"", " error");
    reads_as("a=\"1\\", " error");
    reads_as("a=\"1\\\"", " error");
    reads_as("a=\"1\"b", " error");
    reads_as("a=\"1\" b=2", " error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values),
        cmocka_unit_test(quoted_values),
        cmocka_unit_test(malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
