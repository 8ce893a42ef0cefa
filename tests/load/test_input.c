#include "load/input.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 100000 };

/* ---- a realloc that fails; the linker puts it in place of the C library's ---- */

static size_t fails_from; /* bytes; 0: never */

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
    if (fails_from && size >= fails_from) {
        errno = ENOMEM;
        return NULL;
    }
    return __real_realloc(p, size);
}

/* ---- files ---- */

static char path[] = "/tmp/torc-input-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) return -1;
    for (int i = 0; i < SIZE; i++) putc('a' + i % 26, f);
    return fclose(f);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void reads_all(void **state)
{
    slice in;
    (void)state;
    fails_from = 0;
    assert_int_equal(input_read(path, &in), 0);
    assert_int_equal(in.len, SIZE);
    for (size_t i = 0; i < in.len; i++) assert_int_equal(in.ptr[i], 'a' + i % 26);
    free((void *)(uintptr_t)in.ptr);
    assert_int_equal(input_read("/dev/null", &in), 0);
    assert_int_equal(in.len, 0);
    free((void *)(uintptr_t)in.ptr);
}

static void no_file(void **state)
{
    slice in;
    (void)state;
    fails_from = 0;
    assert_int_equal(input_read("/nonexistent", &in), -ENOENT);
    assert_int_equal(input_read("/tmp", &in), -EISDIR);
}

static void no_memory(void **state)
{
    slice in;
    (void)state;
    for (fails_from = 1; fails_from < SIZE; fails_from *= 4)
        assert_int_equal(input_read(path, &in), -ENOMEM);
    fails_from = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all),
        cmocka_unit_test(no_file),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
