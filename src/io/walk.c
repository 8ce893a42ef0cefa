/* No call here follows a link or `..`: each takes one plain name in a directory that is already
 * open, so each opens something in that directory. Links are read and put in front of what is left
 * of the path. For `..` the walk starts again from the top, without the last directory. */

#include "io/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    LINKS_MAX = 40,      /* as in the kernel (path_resolution(7)) */
    STEPS_MAX = 1 << 16, /* bounds a path with many `..` far below */
    NO_LINKS = 0x2000,   /* mounted with nosymfollow (ST_NOSYMFOLLOW, statfs(2)) */
};

struct walk {
    int top, at; /* where the walk began, and where it is */
    unsigned links, steps;
    char *rest;              /* the path still to walk, at the end of `text` */
    size_t passed;           /* bytes of `path` */
    char name[NAME_MAX + 1]; /* the component at hand; `rest` begins after it */
    char path[PATH_MAX];     /* from `top` to `at`, without links */
    char target[PATH_MAX];   /* of a link */
    char text[2 * PATH_MAX];
    int fd; /* -1 until the file is open */
};

static void move_to(struct walk *w, int fd)
{
    if (w->at != w->top) close(w->at);
    w->at = fd;
}

static int put_before_rest(struct walk *w, const char *text, size_t n)
{
    if ((size_t)(w->rest - w->text) < n) return -ENAMETOOLONG;
    w->rest -= n;
    memcpy(w->rest, text, n);
    return 0;
}

/* False at the end of the path. */
static bool next_name(struct walk *w, int *err)
{
    w->rest += strspn(w->rest, "/");
    size_t n = strcspn(w->rest, "/");
    *err = n > NAME_MAX ? -ENAMETOOLONG : ++w->steps > STEPS_MAX ? -ELOOP : 0;
    if (n == 0 || *err < 0) return false;
    memcpy(w->name, w->rest, n);
    w->name[n] = '\0';
    w->rest += n;
    return true;
}

/* To the parent. */
static int leave(struct walk *w)
{
    if (w->passed == 0) return -EXDEV;
    while (w->passed > 0 && w->path[w->passed - 1] != '/') w->passed--;
    if (w->passed > 0) w->passed--;
    /* The slash: it must be a directory still. */
    int err = put_before_rest(w, "/", 1);
    if (err == 0) err = put_before_rest(w, w->path, w->passed);
    w->passed = 0;
    move_to(w, w->top);
    return err;
}

/* What the kernel may refuse when it follows a link itself: see nosymfollow in mount(8), and
 * protected_symlinks in proc_sys_fs(5), here always. */
static int may_follow(const struct walk *w, int link, const struct stat *st)
{
    const mode_t shared = S_ISVTX | S_IWOTH;
    struct stat dir;
    struct statfs fs;
    if (fstatfs(link, &fs) < 0 || fstat(w->at, &dir) < 0) return -errno;
    if (fs.f_flags & NO_LINKS) return -ELOOP;
    bool safe =
        (dir.st_mode & shared) != shared || st->st_uid == geteuid() || st->st_uid == dir.st_uid;
    return safe ? 0 : -EACCES;
}

/* The text of a link of /proc is resolved like any other, so it leads nowhere in particular. */
static int follow_open(struct walk *w, int link, int not_a_link)
{
    struct stat st;
    if (fstat(link, &st) < 0) return -errno;
    if (!S_ISLNK(st.st_mode)) return not_a_link;
    if (++w->links > LINKS_MAX) return -ELOOP;
    int err = may_follow(w, link, &st);
    if (err < 0) return err;
    ssize_t n = readlinkat(link, "", w->target, sizeof w->target);
    if (n <= 0) return n < 0 ? -errno : -ENOENT;
    if (w->target[0] == '/') return -EXDEV;
    return put_before_rest(w, w->target, (size_t)n);
}

static int follow(struct walk *w, int not_a_link)
{
    int link = openat(w->at, w->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (link < 0) return -errno;
    int err = follow_open(w, link, not_a_link);
    close(link);
    return err;
}

static int enter(struct walk *w)
{
    size_t n = strlen(w->name);
    int fd = openat(w->at, w->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOTDIR || errno == ELOOP ? follow(w, -ENOTDIR) : -errno;
    move_to(w, fd);
    if (w->passed + 1 + n > sizeof w->path) return -ENAMETOOLONG;
    if (w->passed > 0) w->path[w->passed++] = '/';
    memcpy(w->path + w->passed, w->name, n);
    w->passed += n;
    return 0;
}

static int open_last(struct walk *w, int flags)
{
    w->fd = openat(w->at, w->name, flags | O_NOFOLLOW);
    if (w->fd >= 0) return 0;
    return errno == ELOOP ? follow(w, -EAGAIN) : -errno;
}

static int walk(struct walk *w, int flags)
{
    int err = 0;
    while (w->fd < 0 && next_name(w, &err)) {
        if (strcmp(w->name, "..") == 0)
            err = leave(w);
        else if (strcmp(w->name, ".") != 0)
            err = *w->rest ? enter(w) : open_last(w, flags);
        if (err < 0) return err;
    }
    if (w->fd < 0 && err == 0) w->fd = openat(w->at, ".", flags);
    return w->fd < 0 && err == 0 ? -errno : err;
}

int walk_open(int dirfd, const char *path, int flags)
{
    size_t n = strlen(path);
    if (n == 0) return -ENOENT;
    if (n >= PATH_MAX) return -ENAMETOOLONG;
    if (path[0] == '/') return -EXDEV;
    struct walk *w = malloc(sizeof *w); /* too large for the stack of a fiber */
    if (!w) return -ENOMEM;
    w->top = w->at = dirfd;
    w->links = w->steps = 0;
    w->passed = 0;
    w->fd = -1;
    w->rest = w->text + sizeof w->text - 1;
    *w->rest = '\0';
    put_before_rest(w, path, n);
    int err = walk(w, flags), fd = w->fd;
    move_to(w, dirfd);
    free(w);
    return err < 0 ? err : fd;
}
