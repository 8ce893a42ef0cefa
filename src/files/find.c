#include "files/find.h"

#include "files/mime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_TRIES = 8 };

/* ---- the cache of a core ---- */

static void dir_release(struct static_dir *d)
{
    ASSERT(d->refs > 0);
    if (--d->refs > 0) return;
    close(d->fd);
    free(d);
}

static void forget_dir(struct static_core *core)
{
    if (core->dir) dir_release(core->dir);
    core->dir = NULL;
}

static void expire(struct wheel_timer *t)
{
    struct static_core *core = container_of(t, struct static_core, expiry);
    uint64_t now = core->io->now, next = file_cache_expire(&core->cache, now);
    if (core->dir && core->dir->expires <= now) forget_dir(core);
    if (core->dir && core->dir->expires < next) next = core->dir->expires;
    wheel_set(&core->io->wheel, t, next);
}

static void close_all(struct exit_hook *e)
{
    struct static_core *core = container_of(e, struct static_core, end);
    wheel_clear(&core->io->wheel, &core->expiry);
    file_cache_clear(&core->cache);
    forget_dir(core);
}

/* Arms the timer for what was opened at `seen`, unless it is armed for something older. */
static void expire_later(struct static_core *core, struct http_context *http, uint64_t seen)
{
    if (!core->io) http_add_exit_hook(http, &core->end);
    core->io = http->io;
    if (!wheel_is_armed(&core->expiry))
        wheel_set(&core->io->wheel, &core->expiry, seen + core->cache.ttl);
}

int static_core_init(struct static_core *core, const struct file_cache_limits *limits)
{
    uint64_t ttl = limits->ttl < NS_PER_S ? limits->ttl : NS_PER_S;
    core->io = NULL;
    core->dir = NULL;
    core->root_dev = core->root_ino = 0;
    core->end = (struct exit_hook){.fn = close_all};
    wheel_timer_init(&core->expiry, expire);
    return file_cache_init(&core->cache, limits->max_open, ttl);
}

void static_core_free(struct static_core *core)
{
    file_cache_free(&core->cache);
}

static void cache_file(struct static_core *core, struct http_context *http, struct static_file *f,
                       uint64_t seen)
{
    file_cache_add(&core->cache, f, seen);
    if (core->cache.open) expire_later(core, http, seen);
}

/* ---- opening ---- */

static int status_of(int err)
{
    switch (-err) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP: /* a link to itself, or one of /proc */
    case EXDEV: /* the path leaves the directory */
    case ENAMETOOLONG:
    case ENXIO: /* a socket, or a device without a driver */
    case ENODEV:
    case EINVAL: /* not a valid name on this file system */
    case EILSEQ: return 404;
    case EACCES:
    case EPERM: return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN: return 503;
    case ECANCELED: return err;
    default: return 500;
    }
}

/* The status for a file that cannot be opened. What is not the client's fault is told. */
static int fail_to_open(torc_req *rq, int err)
{
    int status = status_of(err);
    if (status >= 500)
        http_warn(rq->ctx, WARN_FILE, "cannot open a file below --root: %s; %d", strerror(-err),
                  status);
    return status;
}

static int fail_without_memory(torc_req *rq)
{
    http_warn(rq->ctx, WARN_NO_MEMORY, "no memory to find a file; 503");
    return 503;
}

static bool path_visible(slice path)
{
    slice part;
    while (slice_cut(&path, '/', &part)) {
        if (part.len == 0 && path.ptr) return false; /* an empty last part is a directory's slash */
        if (part.len && part.ptr[0] == '.' && !slice_eq(part, SLICE(".well-known"))) return false;
    }
    return true;
}

/* Opens with `how`; closes cached files if there are too many descriptors. */
static int open_with(torc_req *rq, struct static_core *core, const struct io_call *how)
{
    int fd = -EAGAIN;
    for (int tries = OPEN_TRIES; tries > 0; tries--) {
        fd = scope_call(request_scope(rq), how, IO_OPEN);
        if (fd == -EMFILE || fd == -ENFILE) {
            if (!file_cache_evict(&core->cache)) break;
        } else if (fd != -EAGAIN && fd != -EINTR) { /* a concurrent rename: openat2(2), EAGAIN */
            break;
        }
    }
    return fd;
}

/* Another directory than before: what was opened below that one is no longer what a path means. */
static void note_root(struct static_core *core, const struct stat *st)
{
    if (st->st_dev == core->root_dev && st->st_ino == core->root_ino) return;
    core->root_dev = st->st_dev;
    core->root_ino = st->st_ino;
    while (file_cache_evict(&core->cache)) continue;
}

/* The core keeps it for as long as an open file is used. 0 or negative errno. */
static int reopen_root(torc_req *rq, struct static_core *core, const char *root)
{
    uint64_t seen = rq->ctx->io->now;
    struct stat st;
    int fd =
        open_with(rq, core, &(struct io_call){.open = {AT_FDCWD, root, IO_OPEN_DIRECTORY, &st}});
    if (fd < 0) {
        if (fd != -ECANCELED)
            http_warn(rq->ctx, WARN_FILE, "cannot open --root %s: %s", root, strerror(-fd));
        return fd;
    }
    struct static_dir *d = malloc(sizeof *d);
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    *d = (struct static_dir){.fd = fd, .refs = 1, .expires = seen + core->cache.ttl};
    note_root(core, &st);
    forget_dir(core);
    core->dir = d;
    expire_later(core, rq->ctx, seen);
    return 0;
}

/* Opens the root, or takes the one that is open if it is not too old: the root may be a link that
 * has been switched, or a directory that has been replaced. The caller releases it. 0 or negative
 * errno. */
static int take_root(torc_req *rq, struct static_core *core, const char *root,
                     struct static_dir **out)
{
    bool fresh = core->dir && core->dir->expires > rq->ctx->io->now;
    int err = fresh ? 0 : reopen_root(rq, core, root);
    if (err < 0) return err;
    *out = core->dir;
    (*out)->refs++;
    return 0;
}

/* -EISDIR for a directory, -ENOENT for any other non-regular file. */
static int open_source(torc_req *rq, struct static_core *core, int dirfd, const char *path,
                       struct static_source *s)
{
    struct stat st;
    s->fd = open_with(rq, core, &(struct io_call){.open = {dirfd, path, IO_OPEN_BENEATH, &st}});
    if (s->fd < 0) return s->fd;
    if (!S_ISREG(st.st_mode)) {
        close(s->fd);
        return S_ISDIR(st.st_mode) ? -EISDIR : -ENOENT;
    }
    s->size = (uint64_t)st.st_size;
    s->modified = st.st_mtim;
    return 0;
}

/* Opens the precompressed variants; `name` has room for a suffix after `len`. They are opened even
 * if the client accepts none, so that Vary is right for everybody and a cached file needs no second
 * lookup. A variant that cannot be opened counts as absent. */
static int open_precompressed(torc_req *rq, struct static_core *core, int dirfd, char *name,
                              size_t len, struct static_source *source)
{
    int n = 0;
    for (int i = 0; i < CODINGS; i++) {
        slice suffix = static_codings[i].suffix;
        memcpy(name + len, suffix.ptr, suffix.len + 1);
        source[n].coding = &static_codings[i];
        if (open_source(rq, core, dirfd, name, &source[n]) == 0) n++;
    }
    name[len] = 0;
    return n;
}

/* ---- finding ---- */

static int open_file_in(torc_req *rq, struct static_core *core, int dirfd, slice path,
                        struct static_file **file)
{
    static const slice index = SLICE("index.html"), longest_suffix = SLICE(".zst");
    bool directory = path.len == 0 || path.ptr[path.len - 1] == '/';
    size_t len = path.len + (directory ? index.len : 0);
    char *name = torc_alloc(rq, len + longest_suffix.len + 1);
    if (!name) return fail_without_memory(rq);
    if (path.len) memcpy(name, path.ptr, path.len);
    if (directory) memcpy(name + path.len, index.ptr, index.len);
    name[len] = 0;

    struct static_source source[VERSIONS_MAX] = {0};
    uint64_t seen = rq->ctx->io->now;
    int err = open_source(rq, core, dirfd, name, &source[0]);
    if (err == -EISDIR) return directory ? 404 : 301;
    if (err < 0) return fail_to_open(rq, err);
    int n = 1;
    /* A file that is compressed by itself has no variants. */
    if (!mime_coding(slice_of(name, len)).len)
        n += open_precompressed(rq, core, dirfd, name, len, source + 1);
    struct static_file *f = static_file_new(path, slice_of(name, len), source, n, time(NULL));
    if (!f) return fail_without_memory(rq);
    /* If cancelled, the search for variants was incomplete. */
    if (!request_scope(rq)->cancelled) cache_file(core, rq->ctx, f, seen);
    *file = f;
    return 0;
}

static int open_file(torc_req *rq, struct static_core *core, const char *root, slice path,
                     struct static_file **file)
{
    struct static_dir *dir;
    int err = take_root(rq, core, root, &dir);
    if (err < 0) return status_of(err);
    int status = open_file_in(rq, core, dir->fd, path, file);
    dir_release(dir);
    return status;
}

int static_find(torc_req *rq, struct static_core *core, const char *root, slice path,
                struct static_file **file)
{
    /* A cached path has passed the checks below. */
    *file = file_cache_find(&core->cache, path, rq->ctx->io->now);
    if (*file) return 0;
    if (path.len && memchr(path.ptr, 0, path.len)) return 400;
    if (!path_visible(path)) return 404;
    return open_file(rq, core, root, path, file);
}
