/* The io_uring engine. A turn is one io_uring_enter: it submits what the last turn queued and
 * waits; then the completion queue is processed. prepare() translates operations into SQEs. */

#include "io/uring.h"
#include "base/libc.h"
#include "base/limit.h"
#include "base/log.h"
#include "io/file.h"
#include "io/nonblock.h"
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    RING_TARGET_FIRST = 256, /* buffers in the ring at first */
    TURN_COMPLETIONS = 256,  /* a turn with so many asks for no more */
    REENTRIES_MAX = 16,
};

#define NO_WORKER_NS NS_PER_S

static struct uring *uring_of(struct io *io)
{
    return io->state;
}

static void prepare_open(struct io_uring_sqe *sqe, const struct io_call *c)
{
    /* The kernel copies it; liburing lacks the const. */
    struct open_how *how = (struct open_how *)(uintptr_t)file_how(c);
    io_uring_prep_openat2(sqe, c->open.dirfd, c->open.path, how);
}

/* What io_uring does on a kernel thread in any case, other than open. */
static void prepare_name(struct io_uring_sqe *sqe, const struct io_call *c)
{
    const char *from = c->name.from, *to = c->name.to;
    if (c->op.kind == IO_UNLINK)
        io_uring_prep_unlinkat(sqe, AT_FDCWD, c->unlink.path, 0);
    else if (c->op.kind == IO_LINK)
        io_uring_prep_linkat(sqe, AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
    else
        io_uring_prep_renameat(sqe, AT_FDCWD, from, AT_FDCWD, to, file_rename_flags(c));
}

static void prepare_close(struct io_uring_sqe *sqe, int fd)
{
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_ASYNC; /* to free the bytes of a file without a name may take long */
}

static void prepare(struct uring *u, struct io_uring_sqe *sqe, struct io_op *op)
{
    struct io_call *c = container_of(op, struct io_call, op);
    switch ((enum io_kind)op->kind) {
    case IO_ACCEPT: uring_prepare_accept(u, sqe, container_of(op, struct io_accept, op)); break;
    case IO_RECV: uring_prepare_recv(u, sqe, container_of(op, struct io_sock, recv)); break;
    case IO_RECV_INTO: uring_prepare_into(sqe, container_of(op, struct io_sock, recv)); break;
    case IO_WATCH: uring_prepare_watch(sqe, container_of(op, struct io_sock, recv)); break;
    case IO_SEND: uring_prepare_send(sqe, container_of(op, struct io_send, op)); break;
    case IO_CONNECT:
        io_uring_prep_connect(sqe, c->connect.fd, c->connect.addr, c->connect.len);
        break;
    case IO_OPEN: prepare_open(sqe, c); break;
    case IO_CREATE:
        io_uring_prep_openat(sqe, AT_FDCWD, c->create.path, file_create_flags(c), c->create.mode);
        break;
    case IO_STATX:
        io_uring_prep_statx(sqe, c->statx.dirfd, c->statx.path, c->statx.flags, STATX_BASIC_STATS,
                            c->statx.out);
        break;
    case IO_READ:
        io_uring_prep_read(sqe, c->read.fd, c->read.buf, c->read.size, c->read.offset);
        break;
    case IO_WRITE:
        io_uring_prep_write(sqe, c->write.fd, c->write.buf, c->write.size, c->write.offset);
        break;
    case IO_SYNC: io_uring_prep_fsync(sqe, c->sync.fd, 0); break;
    case IO_LINK:
    case IO_RENAME:
    case IO_UNLINK: prepare_name(sqe, c); break;
    case IO_CLOSE: prepare_close(sqe, c->close.fd); break;
    case IO_CLOSE_SOCK:
        if (c->sock.sock->engine_bits & SOCK_DIRECT)
            io_uring_prep_close_direct(sqe, (unsigned)c->sock.sock->fd);
        else
            io_uring_prep_close(sqe, c->sock.sock->fd);
        break;
    case IO_SHUTDOWN:
        io_uring_prep_shutdown(sqe, c->sock.sock->fd, SHUT_WR);
        uring_set_fixed_file(sqe, c->sock.sock);
        break;
    case IO_UNACKED:
        io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_SIOCOUTQ, c->sock.sock->fd, 0, 0, NULL, 0);
        uring_set_fixed_file(sqe, c->sock.sock);
        break;
    case IO_POLL: uring_prepare_poll(sqe, c); break;
    case IO_POPULATE:
        io_uring_prep_madvise(sqe, c->populate.addr, c->populate.size, MADV_POPULATE_READ);
        break;
    case IO_NONE: ASSERT(!"an operation without a kind");
    }
    io_uring_sqe_set_data(sqe, op);
}

void uring_push(struct uring *u, struct io_op *op)
{
    /* While there is a backlog everything joins it; otherwise a cancel could overtake its
     * operation. */
    struct io_uring_sqe *sqe = u->blocked ? NULL : uring_get_sqe(u);
    if (UNLIKELY(!sqe)) {
        u->blocked = true;
        op->engine_bits |= BACKLOG;
        fifo_push(&u->backlog, &op->done);
        return;
    }
    prepare(u, sqe, op);
}

/* It may be half done: a recv holds a buffer, a send has sent some bytes, a poll has a descriptor.
 */
void uring_drop(struct uring *u, struct io_op *op)
{
    if (op->kind == IO_RECV && !uring_has(u, IO_BUF_RING) && !(op->engine_bits & POLLING))
        buf_put(&u->io->bufs, (uint32_t)op->res);
    if (op->kind == IO_POLL) uring_poll_end(u, container_of(op, struct io_call, op));
    io_complete_later(u->io, op, -ECANCELED);
}

static void drain_backlog(struct uring *u)
{
    if (!uring_pay(u)) return;
    while (u->backlog.head) {
        struct io_op *op = container_of(u->backlog.head, struct io_op, done);
        bool drop = op->cancelling && !(op->kind == IO_ACCEPT && op->engine_bits & WOKEN);
        struct io_uring_sqe *sqe = drop ? NULL : uring_get_sqe(u);
        if (!drop && !sqe) return;
        fifo_pop(&u->backlog);
        op->engine_bits &= (uint8_t)~BACKLOG;
        if (sqe) {
            prepare(u, sqe, op);
            if (op->cancelling) uring_owe(u, OWED_CANCEL, (uintptr_t)op);
        } else {
            uring_drop(u, op);
        }
    }
    u->blocked = u->n_owed > 0;
}

/* ---- other completions ---- */

/* The kernel cancels what needs a worker thread if it cannot make one, as at the limit of processes
 * (RLIMIT_NPROC). It is then done here, as epoll does, but for the shutdown of a socket that only
 * the ring has. As the kernel tries for a tenth of a second and more before it cancels, it is not
 * asked for a while. */
static int without_worker(struct uring *u, struct io_call *c)
{
    static atomic_bool told;
    u->no_worker_until = u->io->now + NO_WORKER_NS;
    if (!atomic_exchange(&told, true))
        log_line("the kernel makes no worker threads%s; the cores wait for the disk themselves",
                 limit_of_thread(EAGAIN));
    if (c->op.kind == IO_SHUTDOWN) return -EAGAIN;
    counter_add(&u->io->stats.syscalls, 1);
    return file_call(u->io, c);
}

/* What file_call knows. */
static bool is_of_file(const struct io_op *op)
{
    switch ((enum io_kind)op->kind) {
    case IO_OPEN:
    case IO_CREATE:
    case IO_STATX:
    case IO_READ:
    case IO_WRITE:
    case IO_SYNC:
    case IO_LINK:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_CLOSE:
    case IO_POPULATE: return true;
    default: return false;
    }
}

static int call_result(struct uring *u, struct io_op *op, int res)
{
    struct io_call *c = container_of(op, struct io_call, op);
    bool lost = res == -ECANCELED && !op->cancelling;
    if (lost && (is_of_file(op) || op->kind == IO_SHUTDOWN)) return without_worker(u, c);
    if (op->kind == IO_OPEN) return file_opened(c->open.stat, res);
    return op->kind == IO_CREATE ? file_opened(c->create.stat, res) : res;
}

static void run_cqe(struct uring *u, uint64_t data, int res, unsigned flags)
{
    if (data <= URING_WAKE) {
        if (data == URING_WAKE) {
            if (res == -EBADF)
                u->io->error = res;
            else
                uring_owe(u, OWED_WAKE, 0);
            if (res > 0) io_woken(u->io);
        }
        return;
    }
    struct io_op *op = (struct io_op *)(uintptr_t)data;
    switch (op->kind) {
    case IO_RECV: uring_recv_cqe(u, container_of(op, struct io_sock, recv), res, flags); break;
    case IO_RECV_INTO: uring_into_cqe(u, container_of(op, struct io_sock, recv), res); break;
    case IO_WATCH: uring_watch_cqe(u, container_of(op, struct io_sock, recv), res, flags); break;
    case IO_SEND: uring_send_cqe(u, container_of(op, struct io_send, op), res, flags); break;
    case IO_ACCEPT: uring_accept_cqe(u, op, res, flags); break;
    case IO_POLL: uring_poll_cqe(u, container_of(op, struct io_call, op), res, flags); break;
    default: io_complete(u->io, op, call_result(u, op, res), false);
    }
}

/* Under DEFER_TASKRUN one wait runs about twenty pieces of the work that makes completions, and the
 * flag tells that some is left (io_uring_setup(2), IORING_SETUP_TASKRUN_FLAG). A turn that took up
 * so few of the requests that have arrived would run more timers than it starts. */
static void get_remaining_events(struct uring *u)
{
    for (int i = 0; i < REENTRIES_MAX; i++) {
        if (!(IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_TASKRUN)) return;
        if (io_uring_cq_ready(&u->ring) >= TURN_COMPLETIONS) return;
        counter_add(&u->io->stats.syscalls, 1);
        int err = io_uring_get_events(&u->ring);
        if (err < 0) {
            uring_enter_failed(u, err);
            return;
        }
    }
}

static void uring_wait(struct io *io, uint64_t timeout_ns)
{
    struct uring *u = uring_of(io);
    struct io_uring_cqe *cqe;
    int err;
    if (UNLIKELY(u->blocked)) drain_backlog(u);
    counter_add(&io->stats.enters, 1);
    counter_add(&io->stats.syscalls, 1);
    bool more = u->blocked || u->again.head || uring_can_arm_more(u);
    if (timeout_ns == 0 || io->done.head || more) {
        err = io_uring_submit_and_get_events(&u->ring);
    } else {
        struct __kernel_timespec ts = {(int64_t)(timeout_ns / NS_PER_S),
                                       (long long)(timeout_ns % NS_PER_S)};
        err = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1,
                                               timeout_ns == WHEEL_NEVER ? NULL : &ts, NULL);
    }
    if (UNLIKELY(err < 0)) uring_enter_failed(u, err);
    if (uring_has(u, IO_DEFER_TASKRUN)) get_remaining_events(u);
    io_waited(io);
    if (UNLIKELY(io_uring_cq_has_overflow(&u->ring))) counter_add(&io->stats.overflows, 1);
    /* Only completions present now: those that callbacks cause wait for the next turn. */
    for (unsigned n = io_uring_cq_ready(&u->ring); n > 0; n--) {
        unsigned head = *u->ring.cq.khead;
        cqe = &u->ring.cq.cqes[head & u->ring.cq.ring_mask];
        uint64_t data = cqe->user_data;
        int res = cqe->res;
        unsigned flags = cqe->flags;
        io_uring_cq_advance(&u->ring, 1);
        counter_add(&io->stats.cqes, 1);
        run_cqe(u, data, res, flags);
    }
    uring_submit_again(u);
    uring_recycle_buffers(u);
}

/* ---- submitting ---- */

static void uring_accept(struct io *io, struct io_accept *a)
{
    uring_push(uring_of(io), &a->op);
}

static void uring_watch(struct io *io, struct io_sock *s)
{
    uring_push(uring_of(io), &s->recv);
}

/* Does here what the ring may not do. */
static bool call_at_once(struct io *io, const struct io_call *c)
{
    return (c->op.kind == IO_OPEN && io->config.walk) ||
           (is_of_file(&c->op) && io->now < uring_of(io)->no_worker_until);
}

/* Of an ordinary descriptor. The socket may be asked on any kernel; and the ring has a shutdown
 * done by a worker thread, behind calls on files that may take as long as their disk does. */
static bool is_of_socket(const struct io_call *c)
{
    return (c->op.kind == IO_UNACKED || c->op.kind == IO_SHUTDOWN) &&
           !(c->sock.sock->engine_bits & SOCK_DIRECT);
}

static int socket_call(const struct io_call *c)
{
    int fd = c->sock.sock->fd;
    if (c->op.kind == IO_UNACKED) return sock_unacked(fd);
    return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

/* To a Unix socket. A connect of the ring's own would wait in a worker while the queue there is
 * full, and few of them hold up all others. */
static bool is_local_connect(const struct io_call *c)
{
    return c->op.kind == IO_CONNECT && c->connect.addr->sa_family == AF_UNIX;
}

static int connect_local(const struct io_call *c)
{
    int err = nonblock_set(c->connect.fd, true);
    if (err < 0) return err;
    if (connect(c->connect.fd, c->connect.addr, c->connect.len) < 0) err = -errno;
    int blocking = nonblock_set(c->connect.fd, false);
    return err ? err : blocking;
}

static void uring_call(struct io *io, struct io_call *c)
{
    bool of_socket = is_of_socket(c);
    if (is_local_connect(c)) {
        counter_add(&io->stats.syscalls, 3);
        io_complete_later(io, &c->op, connect_local(c));
    } else if (of_socket || call_at_once(io, c)) {
        counter_add(&io->stats.syscalls, 1);
        io_complete_later(io, &c->op, of_socket ? socket_call(c) : file_call(io, c));
    } else if (c->op.kind == IO_POLL) {
        uring_poll_start(uring_of(io), c);
    } else {
        uring_push(uring_of(io), &c->op);
    }
}

static void uring_cancel(struct io *io, struct io_op *op)
{
    struct uring *u = uring_of(io);
    if (op->engine_bits & BACKLOG) return; /* whoever submits it completes it */
    if ((op->kind == IO_RECV || op->kind == IO_WATCH) && op->engine_bits & WAITING) {
        uring_leave_queue(u, container_of(op, struct io_sock, recv));
        io_complete_later(io, op, -ECANCELED);
        return;
    }
    uring_owe(u, OWED_CANCEL, (uintptr_t)op);
}

static int uring_sock_open(struct io *io, struct io_sock *s, bool accepted)
{
    s->engine_bits = accepted && uring_of(io)->direct ? SOCK_DIRECT : 0;
    return 0;
}

static int uring_descriptor(const struct io_sock *s)
{
    return s->engine_bits & SOCK_DIRECT ? -1 : s->fd;
}

static void uring_discard(struct io *io, int fd)
{
    struct uring *u = uring_of(io);
    if (!u->direct) {
        counter_add(&io->stats.syscalls, 1);
        close(fd);
        return;
    }
    uring_owe(u, OWED_DISCARD, (uint64_t)fd);
}

/* ---- open and close ---- */

static int uring_open(struct io *io, const struct io_config *config)
{
    struct uring *u = calloc(1, sizeof *u);
    if (!u) return -ENOMEM;
    u->io = io;
    list_init(&u->rearm);
    list_init(&u->rearm_little);
    int err = uring_setup(u, config, io->bufs.count);
    if (err < 0) {
        io->refused = u->refused;
        free(u);
        return err;
    }
    io_uring_ring_dontfork(&u->ring); /* a child has no ring to write to, whatever it does */
    io->state = u;
    io->config.depth = u->ring.sq.ring_entries;
    io->config.cq_depth = u->ring.cq.ring_entries;
    io->config.features = u->features;
    u->ring_target =
        u->buf_ring && io->bufs.count > RING_TARGET_FIRST ? RING_TARGET_FIRST : io->bufs.count;
    uring_recycle_buffers(u);
    uring_owe(u, OWED_WAKE, 0);
    return 0;
}

static void uring_close(struct io *io)
{
    struct uring *u = uring_of(io);
    ASSERT(u->n_rearm == 0);
    ASSERT(!u->backlog.head && !u->again.head);
    uring_end(u);
    free(u->owed);
    free(u);
    io->state = NULL;
}

const struct io_engine io_uring_engine = {
    .name = "io_uring",
    .has_ring = true,
    .blocking_sockets = true,
    .blocking_listener = true, /* else older kernels need a poll, see uring_accept.c */
    .wait_call = "io_uring_enter",
    .probe = uring_probe,
    .explain = uring_explain,
    .open = uring_open,
    .close = uring_close,
    .wait = uring_wait,
    .accept = uring_accept,
    .recv = uring_recv,
    .recv_into = uring_recv_into,
    .watch = uring_watch,
    .send = uring_send,
    .send_file = uring_send_file,
    .call = uring_call,
    .cancel = uring_cancel,
    .sock_open = uring_sock_open,
    .descriptor = uring_descriptor,
    .discard = uring_discard,
    .peer = uring_peer,
};
