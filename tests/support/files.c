#include "files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <ftw.h>
#include <unistd.h>

char *files_open(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir;
    assert_true(asprintf(&dir, "%s/torc-test-XXXXXX", tmp && *tmp ? tmp : "/tmp") > 0);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void files_close(char *dir)
{
    assert_int_equal(nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(dir);
}

char *files_path(const char *dir, const char *name)
{
    char *path;
    assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
    return path;
}

void files_write(const char *dir, const char *name, const void *data, size_t n)
{
    char *path = files_path(dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    free(path);
}

void files_fill(const char *dir, const char *name, size_t n)
{
    char *data = malloc(n ? n : 1);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++) data[i] = files_byte(i);
    files_write(dir, name, data, n);
    free(data);
}

char *files_read(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) return NULL;
    size_t n = 0, cap = 4096, got;
    char *data = malloc(cap);
    assert_non_null(data);
    while ((got = fread(data + n, 1, cap - n - 1, f)) > 0) {
        n += got;
        if (cap - n < 2) data = realloc(data, cap *= 2);
        assert_non_null(data);
    }
    data[n] = '\0';
    fclose(f);
    return data;
}

unsigned files_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}
