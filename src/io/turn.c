/* The engine-independent part of the contract: opening, submitting, and the turn. */

#include "base/limit.h"
#include "base/wake.h"
#include "io/by_file.h"
#include "io/engine.h"
#include "io/inbox.h"
#include "io/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Timers that run in a turn. If all that are due ran at once, completions would wait for them, and
 * the operations that follow those completions would have their timers due together again: the
 * connections of a busy core fall into lock step. */
enum { TURN_TIMERS = 32 };

/* ---- opening and closing ---- */

static uint32_t round_up(uint32_t n)
{
    return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

static int init_buffers(struct io *io)
{
    enum { SPARE = 4 << 20 }; /* a pool is more than its buffers */
    uint32_t n = io->config.buffers, size = io->config.buffer_size;
    int err = buf_pool_init(&io->bufs, n, size);
    if (err < 0)
        io->refused = (struct io_refusal){"mmap", limit_of_memory((size_t)n * size + SPARE)};
    return err;
}

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

int io_open(struct io *io, const struct io_engine *engine, const struct io_config *config)
{
    memset(io, 0, sizeof *io);
    io->engine = engine;
    io->config = *config;
    io->config.buffers = round_up(config->buffers);
    io->now = clock_ns();
    wheel_init(&io->wheel, io->now);
    io->alarm = WHEEL_NEVER;
    io->wake_fd = config->wake_fd > 0 ? config->wake_fd : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    io->refused = (struct io_refusal){"eventfd", ""};
    if (io->wake_fd < 0) return -errno;
    io->wake_inode = inode_of(io->wake_fd);
    int err = init_buffers(io);
    if (err == 0) {
        io->refused = (struct io_refusal){"malloc", ""};
        err = engine->open(io, config);
        if (err < 0) buf_pool_free(&io->bufs);
    }
    if (err < 0 && config->wake_fd <= 0) close(io->wake_fd);
    return err;
}

void io_close(struct io *io)
{
    ASSERT(io_idle(io));
    io->engine->close(io);
    buf_pool_free(&io->bufs);
    free(io->scrap);
    if (io->config.wake_fd <= 0) close(io->wake_fd);
}

void io_check(struct io *io)
{
    struct stat st;
    bool gone = fstat(io->wake_fd, &st) < 0 ? errno == EBADF
                                            : io->wake_inode && st.st_ino != io->wake_inode;
    if (gone && !io->error) io->error = -EBADF;
}

/* First: once it is awake, the core may end. */
void io_wake(struct io *io)
{
    atomic_exchange(&io->inbox.woken, true);
    wake_by(io->wake_fd);
}

bool io_idle(const struct io *io)
{
    return io->in_flight == 0 && !io->done.head && !io->tasks.head;
}

void io_woken(struct io *io)
{
    atomic_exchange(&io->inbox.woken, false); /* what those who set it wrote is visible now */
    inbox_take(io);
    if (io->on_wake) io->on_wake(io);
}

/* ---- submitting ---- */

static void submit_begin(struct io *io, struct io_op *op, enum io_kind kind)
{
    ASSERT(!io_busy(op));
    op->kind = (uint8_t)kind;
    op->cancelling = false;
    op->engine_bits = 0;
    io->in_flight++;
    counter_add(&io->stats.sqes, 1);
}

void io_accept_start(struct io *io, struct io_accept *a)
{
    submit_begin(io, &a->op, IO_ACCEPT);
    io->engine->accept(io, a);
}

int io_sock_init(struct io *io, struct io_sock *s, int fd, bool accepted, io_fn *on_recv)
{
    *s = (struct io_sock){.fd = fd, .recv = {.fn = on_recv}};
    list_init(&s->queue);
    return io->engine->sock_open(io, s, accepted);
}

bool io_peer(struct io *io, const struct io_sock *s, struct sock_addr *out)
{
    int fd = io->engine->descriptor(s);
    if (fd >= 0) {
        counter_add(&io->stats.syscalls, 1);
        return sock_peer(fd, out);
    }
    *out = (struct sock_addr){0};
    return io->engine->peer && io->engine->peer(io, s, out);
}

void io_discard(struct io *io, int fd)
{
    io->engine->discard(io, fd);
}

void io_recv_start(struct io *io, struct io_sock *s)
{
    submit_begin(io, &s->recv, IO_RECV);
    io->engine->recv(io, s);
}

void io_recv_into(struct io *io, struct io_sock *s, void *into, uint32_t size)
{
    ASSERT(size > 0 && size <= INT32_MAX);
    submit_begin(io, &s->recv, IO_RECV_INTO);
    s->recv.into = into;
    s->recv.res = (int32_t)size;
    io->engine->recv_into(io, s);
}

void io_watch_start(struct io *io, struct io_sock *s, bool ends)
{
    submit_begin(io, &s->recv, IO_WATCH);
    s->recv.res = ends;
    io->engine->watch(io, s);
}

void io_send_start(struct io *io, struct io_send *s)
{
    ASSERT(!s->sock->sending && s->count && s->count <= IO_SEND_IOV);
    submit_begin(io, &s->op, IO_SEND);
    s->at = 0;
    s->op.res = 0;
    s->sock->sending = s;
    io->engine->send(io, s);
}

void io_send_file_start(struct io *io, struct io_send *s)
{
    ASSERT(!s->sock->sending && s->file.at < s->count && s->count <= IO_SEND_IOV);
    submit_begin(io, &s->op, IO_SEND);
    s->op.engine_bits = IO_BY_FILE;
    s->at = 0;
    s->op.res = 0;
    s->sock->sending = s;
    io->engine->send_file(io, s);
}

void io_call_start(struct io *io, struct io_call *c, enum io_kind kind)
{
    submit_begin(io, &c->op, kind);
    io->engine->call(io, c);
}

void io_cancel(struct io *io, struct io_op *op)
{
    if (!io_busy(op) || op->cancelling) return;
    op->cancelling = true;
    io->engine->cancel(io, op);
}

/* ---- the turn ---- */

static void run_done(struct io *io)
{
    struct fifo_node *n = io->done.head;
    io->done = (struct fifo){0};
    while (n) {
        struct io_op *op = container_of(n, struct io_op, done);
        n = n->next; /* the completion may queue the same operation again */
        counter_add(&io->stats.cqes, 1);
        io_complete(io, op, op->res, false);
    }
}

/* Completions that a task produced run before the next task, while the memory of both is in the
 * cache; the next task is prefetched meanwhile. */
static void run_tasks(struct io *io)
{
    struct fifo_node *n = io->tasks.head;
    io->tasks = (struct fifo){0};
    while (n) {
        struct io_task *t = container_of(n, struct io_task, link);
        n = n->next;
        if (n) io_prefetch(n);
        t->queued = false;
        t->fn(t);
        if (io->done.head) run_done(io);
    }
}

/* Completions queue tasks and tasks queue completions; both run within the turn, so that an
 * operation that succeeded at once completes at once. The bound keeps a pair that queue each other
 * from monopolising the core. */
static void run_local(struct io *io)
{
    for (int pass = 0; pass < 8 && (io->done.head || io->tasks.head); pass++) {
        run_done(io);
        run_tasks(io);
    }
}

/* What comes before the first wait is no turn. */
static void count_turn(struct io *io, uint64_t took)
{
    struct io_stats *s = &io->stats;
    uint64_t cqes = s->cqes - io->cqes_before;
    io->cqes_before = s->cqes;
    counter_add(&s->busy_ns, took);
    if (UNLIKELY(cqes > s->turn_cqes)) counter_set(&s->turn_cqes, cqes);
    if (UNLIKELY(took > s->turn_ns) && s->turns) counter_set(&s->turn_ns, took);
}

COLD void io_note_late(struct io *io, uint64_t late)
{
    io->took = 0; /* once */
    io->due = WHEEL_NEVER;
    io->late_at = io->now;
    io->late_from = io->now - late;
    uint64_t lasts = late < IO_BEHIND_NS ? late : IO_BEHIND_NS;
    if (io->now < io->behind_until + lasts) return;
    io->behind_until = io->now + lasts;
    io->late += late;
}

void io_turn(struct io *io)
{
    uint64_t before = clock_ns(), next = wheel_next(&io->wheel);
    if (io->alarm < next) next = io->alarm;
    uint64_t timeout = next;
    io->took = before - io->now;
    count_turn(io, io->took);
    io->turn_end = before;
    if (io->on_turn_end) io->on_turn_end(io);
    if (io->done.head || io->tasks.head || io->posts)
        timeout = 0;
    else if (next != WHEEL_NEVER)
        timeout = next > before ? next - before : 0;
    if (UNLIKELY(wake_is_refused()) && timeout > WAKE_LOOK_NS) timeout = WAKE_LOOK_NS;
    counter_add(&io->stats.turns, 1);
    io->due = timeout == WHEEL_NEVER ? WHEEL_NEVER : before + timeout;
    io->engine->wait(io, timeout);
    if (UNLIKELY(wake_is_refused())) io_woken(io);
    wheel_run(&io->wheel, io->now, TURN_TIMERS);
    if (UNLIKELY(io->alarm <= io->now)) {
        io->alarm = WHEEL_NEVER;
        io->on_alarm(io);
    }
    if (UNLIKELY(io->posts != NULL)) inbox_run(io);
    run_local(io);
}
