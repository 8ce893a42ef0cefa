#include "http/pages.h"

#include "http/off_core.h"
#include "http/request.h"
#include "io/cached.h"

#include "base/libc.h"

#include <errno.h>
#include <string.h>

/* ---- what cannot be read ---- */

/* The core is not to try to read it for as long as that may take. */
int pages_why(int fd, uint64_t end)
{
    struct stat st;
    if (fstat(fd, &st) < 0) return -errno;
    return (uint64_t)st.st_size < end ? 0 : -EIO;
}

void pages_tell(struct http_context *ctx, int why)
{
    if (why == 0)
        http_warn(ctx, WARN_FILE, "a file was truncated while it was sent; connection closed");
    else
        http_warn(ctx, WARN_FILE, "cannot read a file: %s; connection closed", strerror(-why));
}

/* ---- reading ---- */

/* The kernel reads all of it at once if it is asked first, else in small parts, one after the
 * other. */
static int populate(void *addr, size_t size)
{
    madvise(addr, size, MADV_WILLNEED);
    return madvise(addr, size, MADV_POPULATE_READ) < 0 ? -errno : 0;
}

static int run(void *arg)
{
    const struct pages_part *part = arg;
    return populate(part->addr, part->size);
}

/* Where the pool takes no job the core waits, as it would without one. */
static int populate_elsewhere(torc_req *rq, const struct pages_part *part)
{
    struct io_call call = {.populate = {part->addr, (uint32_t)part->size}};
    struct pages_part own = *part;
    int err = off_core_helps(rq, rq->ctx->pool)
                  ? off_core_call(rq, rq->ctx->pool, "file pages", run, &own)
                  : -ENOSYS;
    if (err != -ENOSYS && err != -EAGAIN) return err;
    return scope_call(request_scope(rq), &call, IO_POPULATE);
}

static int populate_in_turn(torc_req *rq, const struct pages_part *part)
{
    int err = off_core_begin(rq);
    if (err < 0) return err;
    err = populate_elsewhere(rq, part);
    off_core_end(rq);
    return err;
}

/* What is in memory has no part in the turns of those that wait for a disk. To ask costs as much as
 * to send it, so that is done only where there would be a wait. */
static bool need_not_wait(torc_req *rq, const struct pages_part *part)
{
    const struct off_core *o = &rq->ctx->off_core;
    return o->busy >= o->most && io_is_cached(rq->ctx->io, part->fd, part->offset, part->size);
}

int pages_populate(torc_req *rq, const struct pages_part *part)
{
    struct io *io = rq->ctx->io;
    if (!need_not_wait(rq, part)) return populate_in_turn(rq, part);
    counter_add(&io->stats.syscalls, 1);
    return madvise(part->addr, part->size, MADV_POPULATE_READ) < 0 ? -errno : 0;
}

int pages_bring(torc_req *rq, const struct pages_part *part)
{
    return need_not_wait(rq, part) ? 0 : populate_in_turn(rq, part);
}

uint64_t pages_start(uint64_t at)
{
    static _Thread_local uint64_t size;
    if (!size) size = (uint64_t)sysconf(_SC_PAGESIZE);
    return at & ~(size - 1);
}

/* ---- a file that is not mapped ---- */

/* By a mapping for as long as that takes: the threads of the pool may not have this descriptor
 * (--private-descriptors). Where there can be none, the core waits when it reads. */
static int read_ahead(torc_req *rq, struct pages_ahead *ahead, int fd, uint64_t offset,
                      uint64_t rest)
{
    uint64_t start = pages_start(offset);
    size_t size = (size_t)(offset - start + (rest < PAGES_PIECE ? rest : PAGES_PIECE));
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)start);
    if (map == MAP_FAILED) return -errno;
    struct pages_part part = {map, size, fd, start};
    int err = populate_in_turn(rq, &part);
    munmap(map, size);
    ahead->from = offset;
    ahead->to = start + size;
    return err;
}

static bool is_ahead(const struct pages_ahead *ahead, uint64_t offset, uint32_t size)
{
    return offset >= ahead->from && offset + size <= ahead->to;
}

/* The core would wait for what is not in memory. */
static int read_by_pool(torc_req *rq, struct pages_ahead *ahead, const struct io_call *call,
                        uint64_t rest)
{
    uint64_t offset = call->read.offset;
    if (!is_ahead(ahead, offset, call->read.size)) {
        int n = io_read_cached(rq->ctx->io, call);
        if (n >= 0) return n;
        int err = read_ahead(rq, ahead, call->read.fd, offset, rest);
        if (err < 0 && request_scope(rq)->cancelled) return err;
        if (err == -EFAULT) return pages_why(call->read.fd, offset + rest);
    }
    return scope_call(request_scope(rq), call, IO_READ);
}

/* A ring waits for most file systems by itself. For one that does not tell what is in memory it
 * needs a worker, even if all is. */
static int read_by_ring(torc_req *rq, struct pages_ahead *ahead, const struct io_call *call)
{
    if (!ahead->tried) {
        int n = io_read_cached(rq->ctx->io, call);
        ahead->tried = true;
        ahead->untold = n == -EOPNOTSUPP;
        if (n >= 0) return n;
    }
    int err = ahead->untold ? off_core_begin(rq) : 0;
    if (err < 0) return err;
    int n = scope_call(request_scope(rq), call, IO_READ);
    if (ahead->untold) off_core_end(rq);
    return n;
}

int pages_read(torc_req *rq, struct pages_ahead *ahead, int fd, void *buf, uint32_t size,
               uint64_t offset, uint64_t rest)
{
    struct io_call call = {.read = {fd, size, buf, offset}};
    if (off_core_helps(rq, rq->ctx->pool)) return read_by_pool(rq, ahead, &call, rest);
    if (io_engine_has_ring(rq->ctx->io->engine)) return read_by_ring(rq, ahead, &call);
    return scope_call(request_scope(rq), &call, IO_READ);
}
