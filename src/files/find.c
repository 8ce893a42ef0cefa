#include "files/find.h"

#include "files/mime.h"
#include "files/opening.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PLACES_MAX = 64, /* per core: names of directories; each may hold one descriptor */
};

/* A directory by its name, which may be that of a link that is switched. */
struct static_place {
    struct list link;
    struct static_dir *dir; /* NULL if it is not open */
    uint64_t dev, ino;      /* of the directory that was opened last */
    uint64_t id;            /* its number */
    bool in_memory;         /* see opening.h */
    char name[];
};

/* ---- the cache of a core ---- */

static void dir_release(struct static_dir *d)
{
    ASSERT(d->refs > 0);
    if (--d->refs > 0) return;
    close(d->fd);
    free(d);
}

static struct static_place *place_at(struct list *l)
{
    return container_of(l, struct static_place, link);
}

static void forget_dir(struct static_place *p)
{
    if (p->dir) dir_release(p->dir);
    p->dir = NULL;
}

static void drop_place(struct static_core *core, struct static_place *p)
{
    forget_dir(p);
    list_unlink(&p->link);
    core->n_places--;
    free(p);
}

/* Closes the directories that have expired. Returns when the next one expires. */
static uint64_t expire_dirs(struct static_core *core, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (struct list *l = core->places.next; l != &core->places; l = l->next) {
        struct static_place *p = place_at(l);
        if (p->dir && p->dir->expires <= now) forget_dir(p);
        if (p->dir && p->dir->expires < next) next = p->dir->expires;
    }
    return next;
}

static void expire(struct wheel_timer *t)
{
    struct static_core *core = container_of(t, struct static_core, expiry);
    uint64_t now = core->io->now, next = file_cache_expire(&core->cache, now);
    uint64_t dirs = expire_dirs(core, now);
    wheel_set(&core->io->wheel, t, dirs < next ? dirs : next);
}

static void close_all(struct exit_hook *e)
{
    struct static_core *core = container_of(e, struct static_core, end);
    wheel_clear(&core->io->wheel, &core->expiry);
    file_cache_clear(&core->cache);
    for (struct list *l = core->places.next, *next; l != &core->places; l = next) {
        next = l->next;
        drop_place(core, place_at(l));
    }
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
    list_init(&core->places);
    core->n_places = 0;
    core->last_id = 0;
    core->end = (struct exit_hook){.fn = close_all};
    wheel_timer_init(&core->expiry, expire);
    return file_cache_init(&core->cache, limits->max_open, ttl);
}

void static_core_free(struct static_core *core)
{
    ASSERT(list_empty(&core->places));
    file_cache_free(&core->cache);
}

static void cache_file(struct static_core *core, struct http_context *http, struct static_file *f,
                       uint64_t seen)
{
    file_cache_add(&core->cache, f, seen);
    if (core->cache.open) expire_later(core, http, seen);
}

void static_forget(struct static_core *core, struct static_file *f)
{
    file_cache_forget(&core->cache, f);
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
    default: return 500;
    }
}

/* The status for a file that cannot be opened, or the error of the scope if that is why. What is
 * not the client's fault is told. */
static int fail_to_open(torc_req *rq, const char *dir, int err)
{
    int cancelled = request_scope(rq)->cancelled, status = status_of(err);
    if (cancelled) return cancelled;
    if (status >= 500 || err == -EPERM) /* that is a filter's, and not the file's */
        http_warn(rq->ctx, WARN_FILE, "cannot open a file below %s: %s; %d", dir, strerror(-err),
                  status);
    return status;
}

/* Likewise for the directory, which is never the client's fault. */
static int fail_to_open_dir(torc_req *rq, const char *dir, int err)
{
    int cancelled = request_scope(rq)->cancelled, status = status_of(err);
    if (cancelled) return cancelled;
    http_warn(rq->ctx, WARN_FILE, "cannot open the directory %s: %s; %d", dir, strerror(-err),
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

/* ---- directories ---- */

static struct static_place *find_place(struct static_core *core, const char *name)
{
    for (struct list *l = core->places.next; l != &core->places; l = l->next) {
        if (strcmp(place_at(l)->name, name) != 0) continue;
        if (l != core->places.next) {
            list_unlink(l);
            list_push_front(&core->places, l);
        }
        return place_at(l);
    }
    return NULL;
}

/* Finds the place or adds it; NULL without memory. */
static struct static_place *make_place(struct static_core *core, const char *name)
{
    struct static_place *p = find_place(core, name);
    if (p) return p;
    size_t n = strlen(name) + 1;
    p = malloc(sizeof *p + n);
    if (!p) return NULL;
    *p = (struct static_place){0};
    memcpy(p->name, name, n);
    list_init(&p->link);
    list_push_front(&core->places, &p->link);
    if (++core->n_places > PLACES_MAX) drop_place(core, place_at(core->places.prev));
    return p;
}

static bool is_of(const struct static_place *p, const struct stat *st)
{
    return p->id && st->st_dev == p->dev && st->st_ino == p->ino;
}

/* Another directory than before gets another number: what was opened below that one is no longer
 * what a path means. */
static void note_dir(struct static_core *core, struct static_place *p, const struct stat *st,
                     bool in_memory)
{
    if (is_of(p, st)) return;
    p->dev = st->st_dev;
    p->ino = st->st_ino;
    p->id = ++core->last_id;
    p->in_memory = in_memory;
}

/* Of another directory than before this is asked, which may wait. */
static bool is_in_memory(torc_req *rq, struct static_core *core, const char *name, int fd,
                         const struct stat *st)
{
    const struct static_place *p = find_place(core, name);
    return p && is_of(p, st) ? p->in_memory : opening_in_memory(rq, fd);
}

/* The core keeps it for as long as an open file is used. 0 or negative errno. */
static int reopen_dir(torc_req *rq, struct static_core *core, const char *name,
                      struct static_dir **out)
{
    uint64_t seen = rq->ctx->io->now;
    struct stat st = {0};
    struct io_call how = {.open = {AT_FDCWD, IO_OPEN_DIRECTORY, name, &st}};
    int fd = opening_open(rq, &core->cache, &how, false);
    if (fd < 0) return fd;
    bool in_memory = is_in_memory(rq, core, name, fd, &st);
    struct static_dir *d = malloc(sizeof *d);
    struct static_place *p = d ? make_place(core, name) : NULL;
    if (!p) {
        free(d);
        close(fd);
        return -ENOMEM;
    }
    note_dir(core, p, &st, in_memory);
    *d = (struct static_dir){.fd = fd,
                             .refs = 1,
                             .id = p->id,
                             .in_memory = p->in_memory,
                             .expires = seen + core->cache.ttl};
    forget_dir(p);
    *out = p->dir = d;
    expire_later(core, rq->ctx, seen);
    return 0;
}

/* Opens the directory, or takes the one that is open if it is not too old: the name may be of a
 * link that has been switched, or the directory have been replaced. The caller releases it. 0 or
 * negative errno. */
static int take_dir(torc_req *rq, struct static_core *core, const char *name,
                    struct static_dir **out)
{
    struct static_place *p = find_place(core, name);
    bool fresh = p && p->dir && p->dir->expires > rq->ctx->io->now;
    if (fresh) *out = p->dir;
    int err = fresh ? 0 : reopen_dir(rq, core, name, out);
    if (err == 0) (*out)->refs++;
    return err;
}

/* ---- files ---- */

/* -EISDIR for a directory, -ENOENT for any other non-regular file. */
static int open_source(torc_req *rq, struct static_core *core, const struct static_dir *dir,
                       const char *path, struct static_source *s)
{
    struct stat st;
    struct io_call how = {.open = {dir->fd, IO_OPEN_BENEATH, path, &st}};
    s->fd = opening_open(rq, &core->cache, &how, dir->in_memory);
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
static int open_precompressed(torc_req *rq, struct static_core *core, const struct static_dir *dir,
                              char *name, size_t len, struct static_source *source)
{
    int n = 0;
    for (int i = 0; i < CODINGS; i++) {
        slice suffix = static_codings[i].suffix;
        memcpy(name + len, suffix.ptr, suffix.len + 1);
        source[n].coding = &static_codings[i];
        if (open_source(rq, core, dir, name, &source[n]) == 0) n++;
    }
    name[len] = 0;
    return n;
}

/* ---- finding ---- */

static int open_file_in(torc_req *rq, struct static_core *core, const struct static_dir *dir,
                        const char *dir_name, slice path, struct static_file **file)
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
    int err = open_source(rq, core, dir, name, &source[0]);
    if (err == -EISDIR) return directory ? 404 : 301;
    if (err < 0) return fail_to_open(rq, dir_name, err);
    int n = 1;
    /* A file that is compressed by itself has no variants. */
    if (!mime_coding(slice_of(name, len)).len)
        n += open_precompressed(rq, core, dir, name, len, source + 1);
    struct static_file *f = static_file_new(path, slice_of(name, len), source, n, time(NULL));
    if (!f) return fail_without_memory(rq);
    f->dir = dir->id;
    /* If cancelled, the search for variants was incomplete. */
    if (!request_scope(rq)->cancelled) cache_file(core, rq->ctx, f, seen);
    *file = f;
    return 0;
}

static int open_file(torc_req *rq, struct static_core *core, const char *dir_name, slice path,
                     struct static_file **file)
{
    struct static_dir *dir;
    int err = take_dir(rq, core, dir_name, &dir);
    if (err < 0) return fail_to_open_dir(rq, dir_name, err);
    int status = open_file_in(rq, core, dir, dir_name, path, file);
    dir_release(dir);
    return status;
}

int static_find(torc_req *rq, const char *dir, slice path, struct static_file **file)
{
    struct static_core *core = rq->ctx->files;
    ASSERT(core);
    /* A cached path has passed the checks below. */
    struct static_place *p = find_place(core, dir);
    *file = p ? file_cache_find(&core->cache, p->id, path, rq->ctx->io->now) : NULL;
    if (*file) return 0;
    if (path.len && memchr(path.ptr, 0, path.len)) return 400;
    if (!path_visible(path)) return 404;
    return open_file(rq, core, dir, path, file);
}
