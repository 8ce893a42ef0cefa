#include "serve/access_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *access_file_path(const char *option)
{
    return strcmp(option, "-") == 0 ? NULL : option;
}

int access_file_open(const char *path)
{
    if (!path) return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    /* O_NONBLOCK: a FIFO without a reader then fails with ENXIO rather than blocking. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd >= 0) fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

/* The path of what a link names; malloc'ed. NULL and errno. */
static char *target_of(const char *link)
{
    char to[PATH_MAX], *path = NULL;
    ssize_t n = readlink(link, to, sizeof to - 1);
    if (n < 0) return NULL;
    to[n] = '\0';
    const char *slash = to[0] == '/' ? NULL : strrchr(link, '/');
    int before = slash ? (int)(slash - link) + 1 : 0;
    return asprintf(&path, "%.*s%s", before, link, to) < 0 ? NULL : path;
}

/* Whether a file can be made at `path`, which is not there. */
static int check_directory(const char *path)
{
    size_t n = strlen(path);
    if (n && path[n - 1] == '/') return -EISDIR;
    char *copy = strdup(path);
    if (!copy) return -ENOMEM;
    int err = faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
    free(copy);
    return err;
}

/* The same, of a path that may be a link, and that link's target another: the file is made where
 * the last of them leads. These are not too many, or the path would not just be missing. */
static int check_missing(const char *path)
{
    struct stat st;
    char *own = NULL;
    while (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        char *next = target_of(path);
        int err = errno;
        free(own);
        if (!next) return -err;
        path = own = next;
    }
    int err = check_directory(path);
    free(own);
    return err;
}

int access_file_check(const char *path)
{
    struct stat st = {0};
    size_t n = path ? strlen(path) : 0;
    if (!path) return 0;
    if (n && path[n - 1] == '/') return -EISDIR;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return -EISDIR;
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0) return S_ISSOCK(st.st_mode) ? -ENXIO : 0;
    return errno == ENOENT && n ? check_missing(path) : -errno;
}

bool access_file_regular(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

bool access_file_same(int before, int fd)
{
    struct stat a, b;
    if (before < 0 || fstat(before, &a) < 0 || fstat(fd, &b) < 0) return false;
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void access_move_free(struct access_move *m)
{
    if (!m) return;
    if (m->fd >= 0) close(m->fd);
    free(m->path);
    free(m);
}

struct access_move *access_move_new(const char *option)
{
    const char *path = access_file_path(option);
    struct access_move *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->path = path ? strdup(path) : NULL;
    m->fd = m->path || !path ? access_file_open(path) : -1;
    if (m->fd >= 0) return m;
    int err = errno;
    access_move_free(m);
    errno = err;
    return NULL;
}
