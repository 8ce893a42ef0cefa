#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_ROOM = 1024, PATHS = 8 };

void tree_make(struct tree *t)
{
    t->path = files_open();
}

void tree_remove(struct tree *t)
{
    files_close(t->path);
}

const char *tree_path(const struct tree *t, const char *name)
{
    static char text[PATHS][PATH_ROOM];
    static unsigned next;
    char *path = text[next++ % PATHS];
    int n = snprintf(path, PATH_ROOM, "%s/%s", t->path, name);
    assert_true(n > 0 && n < PATH_ROOM);
    return path;
}

/* Creates the parent directories of a path. */
static void make_parents(const struct tree *t, const char *path)
{
    char part[PATH_ROOM];
    for (const char *slash = path + strlen(t->path) + 1; (slash = strchr(slash, '/')); slash++) {
        memcpy(part, path, (size_t)(slash - path));
        part[slash - path] = '\0';
        assert_true(mkdir(part, 0755) == 0 || errno == EEXIST);
    }
}

void tree_dir(const struct tree *t, const char *name)
{
    const char *path = tree_path(t, name);
    make_parents(t, path);
    assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
}

void tree_link(const struct tree *t, const char *name, const char *target)
{
    const char *path = tree_path(t, name);
    make_parents(t, path);
    assert_int_equal(symlink(target, path), 0);
}

void tree_file(const struct tree *t, const char *name, const void *data, size_t n)
{
    const char *path = tree_path(t, name), *made = tree_path(t, ".being-made");
    make_parents(t, path);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_true(write(fd, data, n) == (ssize_t)n);
    assert_int_equal(close(fd), 0);
    assert_int_equal(rename(made, path), 0);
}

void tree_text(const struct tree *t, const char *name, const char *text)
{
    tree_file(t, name, text, strlen(text));
}

void tree_hole(const struct tree *t, const char *name, size_t size)
{
    tree_text(t, name, "");
    assert_int_equal(truncate(tree_path(t, name), (off_t)size), 0);
}
