#include "torc/pg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Of most, libpq would take a part of the password for something else, and tell it. */
static void test_conninfo_that_is_refused(void **state)
{
    static const char *const wrong[] = {
        "postgresql://[",
        "postgres://user:p@ss@host/db",
        "postgres://user:pa/ss@host",
        "postgres://user:12/34@host",
        "postgres://user:secret",
        "postgresql://user:pa/ss?x@host",
        "host=a port=secret",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        torc_pg *pg = torc_pg_new(&(torc_pg_options){.conninfo = wrong[i]});
        if (pg || errno != EINVAL) fail_msg("%s is not refused", wrong[i]);
    }
}

static void test_conninfo_that_is_taken(void **state)
{
    static const char *const right[] = {
        "postgres://user:p%40ss@host:1/db?application_name=a@b",
        "postgres://user:p@a:1,b:2/db",
        "postgres:///db?host=@abstract",
        "host=/tmp/a@b port=5432",
        "password=a@b@c",
        "",
        NULL,
    };
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        torc_pg *pg = torc_pg_new(&(torc_pg_options){.conninfo = right[i]});
        if (!pg) fail_msg("%s is refused", right[i]);
        torc_pg_free(pg);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conninfo_that_is_refused),
        cmocka_unit_test(test_conninfo_that_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
