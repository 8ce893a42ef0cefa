#include "serve/access_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
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

/* Whether a file can be made at `path`, which is not there. */
static int check_directory(const char *path)
{
    char *copy = strdup(path);
    if (!copy) return -ENOMEM;
    int err = faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
    free(copy);
    return err;
}

int access_file_check(const char *path)
{
    struct stat st;
    size_t n = path ? strlen(path) : 0;
    if (!path) return 0;
    if (n && path[n - 1] == '/') return -EISDIR;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return -EISDIR;
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0) return 0;
    if (errno != ENOENT || !n) return -errno;
    if (lstat(path, &st) == 0) return 0; /* a link to where one may be made */
    return check_directory(path);
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
