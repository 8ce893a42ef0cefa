#include "http/pages.h"

#include "http/request.h"
#include "io/cached.h"
#include "task/offload.h"

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

/* ---- who reads ---- */

struct turn {
    struct wait wait;
    struct list link;
};

/* One worker of a ring is left for what else needs one, as to open a file. The threads of the pool
 * are few, and shared by all cores. */
void pages_open(struct http_context *ctx)
{
    enum { BY_POOL = 2 };
    uint32_t workers = ctx->io->config.iowq_bounded, by_ring = workers > 1 ? workers - 1 : 1;
    ctx->pages.most = io_engine_has_ring(ctx->io->engine) ? by_ring : BY_POOL;
    list_init(&ctx->pages.waiting);
}

static void turn_cancel(struct wait *w)
{
    list_unlink(&container_of(w, struct turn, wait)->link);
    wait_wake(w, w->scope->cancelled);
}

/* 0 once this fiber may read; end_turn must follow. */
static int begin_turn(torc_req *rq)
{
    struct pages *p = &rq->ctx->pages;
    struct scope *s = request_scope(rq);
    int refused = scope_refuses(s);
    if (refused) return refused;
    if (p->reading < p->most) {
        p->reading++;
        return 0;
    }
    struct turn turn = {.wait.what = "file pages"};
    list_push(&p->waiting, &turn.link);
    return wait_park(s, &turn.wait, turn_cancel);
}

/* The next one takes the place of this. */
static void end_turn(torc_req *rq)
{
    struct pages *p = &rq->ctx->pages;
    struct list *next = list_pop(&p->waiting);
    if (next)
        wait_wake(&container_of(next, struct turn, link)->wait, 0);
    else
        p->reading--;
}

/* ---- reading ---- */

/* A read on a thread of the pool; on the fiber's stack. */
struct job {
    struct torc_job job;
    struct request_label label;
    struct wait wait;
    void *addr;
    size_t size;
};

/* The kernel reads all of it at once if it is asked first, else in small parts, one after the
 * other. */
static int populate(void *addr, size_t size)
{
    madvise(addr, size, MADV_WILLNEED);
    return madvise(addr, size, MADV_POPULATE_READ) < 0 ? -errno : 0;
}

static int run(struct torc_job *j, void *arg)
{
    const struct job *job = arg;
    (void)j;
    return populate(job->addr, job->size);
}

static void describe(const struct torc_job *j, char out[OFFLOAD_NAME])
{
    static const char prefix[] = "file pages of ";
    _Static_assert(sizeof prefix + REQUEST_ROUTE <= OFFLOAD_NAME, "the longest route fits");
    memcpy(out, prefix, sizeof prefix);
    request_label_put(&container_of(j, struct job, job)->label, out + sizeof prefix - 1);
}

static void done(struct torc_job *j)
{
    wait_wake(&container_of(j, struct job, job)->wait, j->result);
}

static void cancel(struct wait *w)
{
    struct job *j = container_of(w, struct job, wait);
    if (offload_cancel(&j->job)) wait_wake(w, w->scope->cancelled);
}

/* Whether a call on a file holds the core, and with it other connections. */
static bool core_would_wait(const torc_req *rq)
{
    return io_calls_hold(rq->ctx->io) && rq->ctx->pool;
}

static int populate_by_pool(torc_req *rq, const struct pages_part *part)
{
    struct job j = {.job = {.fn = run, .describe = describe, .done = done},
                    .label = request_label(rq),
                    .wait.what = "file pages",
                    .addr = part->addr,
                    .size = part->size};
    j.job.arg = &j;
    /* No cancel would end the wait if there was one since the wake in begin_turn. */
    int err = scope_refuses(request_scope(rq));
    if (err == 0) err = offload_start(rq->ctx->pool, &j.job, rq->ctx->io);
    return err < 0 ? err : wait_park(request_scope(rq), &j.wait, cancel);
}

/* Where the pool takes no job the core waits, as it would without one. */
static int populate_elsewhere(torc_req *rq, const struct pages_part *part)
{
    struct io_call call = {.populate = {part->addr, (uint32_t)part->size}};
    int err = core_would_wait(rq) ? populate_by_pool(rq, part) : -ENOSYS;
    if (err != -ENOSYS && err != -EAGAIN) return err;
    return scope_call(request_scope(rq), &call, IO_POPULATE);
}

static int populate_in_turn(torc_req *rq, const struct pages_part *part)
{
    int err = begin_turn(rq);
    if (err < 0) return err;
    err = populate_elsewhere(rq, part);
    end_turn(rq);
    return err;
}

/* What is in memory has no part in the turns of those that wait for a disk. To ask costs as much as
 * to send it, so that is done only where there would be a wait. */
static bool need_not_wait(torc_req *rq, const struct pages_part *part)
{
    const struct pages *p = &rq->ctx->pages;
    return p->reading >= p->most && io_is_cached(rq->ctx->io, part->fd, part->offset, part->size);
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
    int err = ahead->untold ? begin_turn(rq) : 0;
    if (err < 0) return err;
    int n = scope_call(request_scope(rq), call, IO_READ);
    if (ahead->untold) end_turn(rq);
    return n;
}

int pages_read(torc_req *rq, struct pages_ahead *ahead, int fd, void *buf, uint32_t size,
               uint64_t offset, uint64_t rest)
{
    struct io_call call = {.read = {fd, size, buf, offset}};
    if (core_would_wait(rq)) return read_by_pool(rq, ahead, &call, rest);
    if (io_engine_has_ring(rq->ctx->io->engine)) return read_by_ring(rq, ahead, &call);
    return scope_call(request_scope(rq), &call, IO_READ);
}
