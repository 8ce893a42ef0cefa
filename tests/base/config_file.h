#pragma once
/* The config file that tests of options read: made and removed with their group. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char config_path[] = "/tmp/torc-test-options-XXXXXX";

static int make_config(void **state)
{
    (void)state;
    int fd = mkstemp(config_path);
    if (fd < 0) return -1;
    close(fd);
    return 0;
}

static int remove_config(void **state)
{
    (void)state;
    return unlink(config_path);
}

static inline void write_config_bytes(const char *text, size_t len)
{
    FILE *f = fopen(config_path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static inline void write_config(const char *text)
{
    write_config_bytes(text, strlen(text));
}
