#include "io/local.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_NS NS_PER_S

static bool is_abstract(const char *path)
{
    return path[0] == '@';
}

int local_parse(const char *text, struct sock_addr *out)
{
    static const char prefix[] = "unix:";
    if (strncmp(text, prefix, sizeof prefix - 1) != 0) return -EINVAL;
    const char *path = text + sizeof prefix - 1;
    if (!path[is_abstract(path)] || strpbrk(path, " \t\r\n")) return -EINVAL;
    if (strlen(path) > LOCAL_PATH_MAX) return -ENAMETOOLONG;
    *out = (struct sock_addr){.sa.sa_family = AF_UNIX, .path = path, .len = sizeof out->in6};
    return 0;
}

socklen_t local_raw(const struct sock_addr *a, struct sockaddr_un *out)
{
    bool abstract = is_abstract(a->path);
    size_t len = strnlen(a->path, sizeof out->sun_path - 1);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, a->path, len);
    if (abstract) out->sun_path[0] = '\0'; /* its length ends the name, not a NUL */
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
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

/* ---- one server at a time ---- */

static int open_directory(const char *path)
{
    char dir[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof dir) return -1;
    memcpy(dir, path, n);
    dir[n] = '\0';
    return open(n ? dir : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Locks the directory of the file, which leaves nothing behind, and returns what unlock needs. A
 * server that takes the file over looks, removes it, binds and listens; a second one in between
 * would find a file of which nobody listens, and remove that. Where the directory cannot be locked,
 * or somebody keeps it so, it goes on without. */
static int lock(const struct sock_addr *a)
{
    const struct timespec pause = {.tv_nsec = NS_PER_MS};
    uint64_t until = clock_ns() + LOCK_WAIT_NS;
    int fd = is_abstract(a->path) ? -1 : open_directory(a->path);
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 &&
           (errno == EWOULDBLOCK || errno == EINTR) && clock_ns() < until)
        nanosleep(&pause, NULL);
    return fd;
}

static void unlock(int fd)
{
    if (fd >= 0) close(fd);
}

/* ---- listening ---- */

/* The name is in use: by a server that is no more? */
static int remove_stale(const struct sock_addr *a)
{
    struct stat st;
    if (is_abstract(a->path)) return -EADDRINUSE;
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

/* It is bound: the file is there. */
static int begin(int fd, struct sock_addr *a, int backlog)
{
    struct stat st;
    if (is_abstract(a->path)) return listen(fd, backlog) < 0 ? -errno : 0;
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
    int locked = lock(a), err = bind_path(fd, a);
    if (err == 0) {
        err = begin(fd, a, backlog);
        if (err < 0 && !is_abstract(a->path)) unlink(a->path);
    }
    unlock(locked);
    if (err == 0) return fd;
    close(fd);
    return err;
}

void local_remove(struct sock_addr *a)
{
    struct stat st;
    if (!a->ino) return;
    int locked = lock(a); /* nobody listens any more, so another may take it over now */
    bool ours = lstat(a->path, &st) == 0 && st.st_dev == a->dev && st.st_ino == a->ino;
    if (ours && unlink(a->path) < 0)
        log_line("cannot remove the socket %s: %s", a->path, strerror(errno));
    unlock(locked);
    a->ino = 0;
}

/* ---- the accept queue ---- */

struct queue_answer {
    struct nlmsghdr head;
    struct unix_diag_msg socket;
    struct nlattr kind;
    struct unix_diag_rqlen length;
};

/* Asks for the socket with that inode; see sock_diag(7). */
static bool ask_queue(int fd, uint32_t inode, struct queue_answer *a)
{
    struct {
        struct nlmsghdr head;
        struct unix_diag_req what;
    } question = {
        .head = {.nlmsg_len = sizeof question,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .what = {.sdiag_family = AF_UNIX,
                 .udiag_states = UINT32_MAX,
                 .udiag_ino = inode,
                 .udiag_show = UDIAG_SHOW_RQLEN,
                 .udiag_cookie = {UINT32_MAX, UINT32_MAX}}, /* whichever it has */
    };
    return send(fd, &question, sizeof question, 0) == sizeof question &&
           recv(fd, a, sizeof *a, MSG_DONTWAIT) == sizeof *a;
}

uint32_t local_queued(int listener)
{
    struct stat s;
    struct queue_answer a = {0};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return UINT32_MAX;
    bool told = fstat(listener, &s) == 0 && ask_queue(fd, (uint32_t)s.st_ino, &a) &&
                a.head.nlmsg_type == SOCK_DIAG_BY_FAMILY && a.kind.nla_type == UNIX_DIAG_RQLEN;
    close(fd);
    return told ? a.length.udiag_rqueue : UINT32_MAX;
}
