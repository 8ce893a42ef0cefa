#include "io/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool local_parse(const char *text, struct sock_addr *out)
{
    static const char prefix[] = "unix:";
    const struct sockaddr_un *room = NULL;
    if (strncmp(text, prefix, sizeof prefix - 1) != 0) return false;
    const char *path = text + sizeof prefix - 1;
    if (!*path || *path == '@' || strlen(path) >= sizeof room->sun_path) return false;
    if (strpbrk(path, " \t\r\n")) return false;
    *out = (struct sock_addr){.sa.sa_family = AF_UNIX, .path = path, .len = sizeof out->in6};
    return true;
}

socklen_t local_raw(const struct sock_addr *a, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out->sun_path, sizeof out->sun_path, "%s", a->path);
    return sizeof *out;
}

/* What connecting to it gives: 0 or an errno. */
static int try_connect(const struct sock_addr *a)
{
    struct sockaddr_un un;
    socklen_t len = local_raw(a, &un);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return errno;
    int err = connect(fd, (struct sockaddr *)&un, len) < 0 ? errno : 0;
    close(fd);
    return err;
}

int local_taken(const struct sock_addr *a)
{
    int err = try_connect(a);
    return err == 0 || err == EAGAIN ? -EADDRINUSE : 0;
}

/* The name is in use: by a server that is no more? */
static int remove_stale(const struct sock_addr *a)
{
    struct stat st;
    if (lstat(a->path, &st) < 0) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode)) return -ENOTSOCK;
    if (try_connect(a) != ECONNREFUSED) return -EADDRINUSE;
    return unlink(a->path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_path(int fd, const struct sock_addr *a)
{
    struct sockaddr_un un;
    socklen_t len = local_raw(a, &un);
    if (bind(fd, (struct sockaddr *)&un, len) == 0) return 0;
    if (errno != EADDRINUSE) return -errno;
    int err = remove_stale(a);
    if (err == 0) err = bind(fd, (struct sockaddr *)&un, len) < 0 ? -errno : 0;
    return err;
}

/* The file is there. */
static int begin(int fd, struct sock_addr *a, int backlog)
{
    struct stat st;
    if (a->mode && chmod(a->path, a->mode) < 0) return -errno;
    if (listen(fd, backlog) < 0 || lstat(a->path, &st) < 0) return -errno;
    a->dev = st.st_dev;
    a->ino = st.st_ino;
    return 0;
}

int local_listen(struct sock_addr *a, int backlog, bool blocking)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);
    if (fd < 0) return -errno;
    int err = bind_path(fd, a);
    if (err == 0) {
        err = begin(fd, a, backlog);
        if (err < 0) unlink(a->path);
    }
    if (err == 0) return fd;
    close(fd);
    return err;
}

void local_remove(struct sock_addr *a)
{
    struct stat st;
    if (a->ino && lstat(a->path, &st) == 0 && st.st_dev == a->dev && st.st_ino == a->ino)
        unlink(a->path);
    a->ino = 0;
}
