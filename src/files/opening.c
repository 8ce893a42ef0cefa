#include "files/opening.h"

#include "http/off_core.h"
#include "io/cached.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>

enum { OPEN_TRIES = 8 };

struct opening {
    const struct io *io;
    const struct io_call *how;
    int fd;
};

static int run_open(void *arg)
{
    struct opening *o = arg;
    o->fd = io_open_here(o->io, o->how);
    return 0;
}

/* Where no thread could be started the core waits, as it would without any. */
static int open_off_core(torc_req *rq, const struct io_call *how)
{
    struct opening o = {rq->ctx->io, how, -EAGAIN};
    int err = off_core_call(rq, rq->ctx->openers, "file open", run_open, &o);
    if (err == -ENOSYS || err == -EAGAIN) return scope_call(request_scope(rq), how, IO_OPEN);
    return err < 0 ? err : o.fd;
}

static int open_once(torc_req *rq, const struct io_call *how, bool in_memory)
{
    if (in_memory || !off_core_helps(rq, rq->ctx->openers))
        return scope_call(request_scope(rq), how, IO_OPEN);
    int refused = scope_refuses(request_scope(rq));
    if (refused) return refused;
    int fd = io_open_cached(rq->ctx->io, how);
    if (fd == -EOPNOTSUPP) return scope_call(request_scope(rq), how, IO_OPEN);
    return fd == -EAGAIN ? open_off_core(rq, how) : fd;
}

int opening_open(torc_req *rq, struct file_cache *cache, const struct io_call *how, bool in_memory)
{
    int fd = -EAGAIN;
    for (int tries = OPEN_TRIES; tries > 0; tries--) {
        fd = open_once(rq, how, in_memory);
        if (fd == -EMFILE || fd == -ENFILE) {
            if (!file_cache_evict(cache)) break;
        } else if (fd != -EAGAIN && fd != -EINTR) { /* a concurrent rename: openat2(2), EAGAIN */
            break;
        }
    }
    return fd;
}

/* On a network this asks the server. */
static int run_statfs(void *arg)
{
    struct statfs s;
    return fstatfs(*(const int *)arg, &s) == 0 &&
           (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC);
}

bool opening_in_memory(torc_req *rq, int dirfd)
{
    return off_core_helps(rq, rq->ctx->openers) &&
           off_core_call(rq, rq->ctx->openers, "file open", run_statfs, &dirfd) > 0;
}
