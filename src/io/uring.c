/* io_uring. A turn is one io_uring_enter: it submits what the last turn asked for, waits, and then
 * the completion queue is run. Operations are stated once, in prepare(). */

#include "io/uring.h"
#include "io/file.h"
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* engine_bits of an operation */
enum {
    POLLING = 1, /* recv without provided buffers: the readiness poll is in flight, not the recv */
    WAITING = 2, /* recv that waits in a list of ours to be armed, not in the kernel */
    BACKLOG = 4, /* in the backlog, not in the kernel */
    FED = 8,     /* recv that brought bytes since it was armed */
};

/* engine_bits of a socket */
enum { SOCK_DIRECT = 1 };

enum { FILL_FIRST = 256 /* buffers that the ring holds to begin with */ };

/* User data below any operation's address. */
enum { DATA_IGNORE = 0, DATA_WAKE = 1 };

static struct uring *uring_of(struct io *io)
{
    return io->state;
}

static void submit_early(struct uring *u)
{
    counter_add(&u->io->stats.sq_full, 1);
    counter_add(&u->io->stats.syscalls, 1);
    io_uring_submit(&u->ring);
}

static struct io_uring_sqe *get_sqe(struct uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (UNLIKELY(!sqe)) {
        submit_early(u);
        sqe = io_uring_get_sqe(&u->ring);
    }
    return sqe;
}

/* For what cannot wait in the backlog. Only a kernel out of memory makes the SQ stay full. */
static struct io_uring_sqe *need_sqe(struct uring *u)
{
    struct io_uring_sqe *sqe = get_sqe(u);
    for (int tries = 0; !sqe && tries < 1000; tries++) {
        sched_yield();
        sqe = get_sqe(u);
    }
    ASSERT(sqe);
    return sqe;
}

static void set_sock(struct io_uring_sqe *sqe, const struct io_sock *s)
{
    if (s->engine_bits & SOCK_DIRECT) sqe->flags |= IOSQE_FIXED_FILE;
}

static void prepare_recv(struct uring *u, struct io_uring_sqe *sqe, struct io_sock *s)
{
    struct buf_pool *p = &u->io->bufs;
    if (uring_has(u, IO_BUF_RING)) {
        if (uring_has(u, IO_MULTISHOT))
            io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
        else
            io_uring_prep_recv(sqe, s->fd, NULL, p->size, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = BUF_GROUP;
    } else if (s->recv.engine_bits & POLLING) {
        /* An idle connection must not pin a buffer, so one is taken only once there are bytes. */
        io_uring_prep_poll_add(sqe, s->fd, POLLIN | POLLRDHUP);
    } else {
        io_uring_prep_recv(sqe, s->fd, buf_at(p, (uint32_t)s->recv.res), p->size, MSG_DONTWAIT);
    }
    set_sock(sqe, s);
}

static void prepare_send(struct io_uring_sqe *sqe, struct io_send *s)
{
    /* Without MSG_WAITALL a send that the socket has no room for completes in parts, which shows
     * how far it has come. */
    int flags = MSG_NOSIGNAL;
    if (s->at + 1 == s->count) {
        io_uring_prep_send(sqe, s->sock->fd, s->iov[s->at].iov_base, s->iov[s->at].iov_len, flags);
    } else {
        s->msg = (struct msghdr){.msg_iov = s->iov + s->at, .msg_iovlen = s->count - s->at};
        io_uring_prep_sendmsg(sqe, s->sock->fd, &s->msg, (unsigned)flags);
    }
    set_sock(sqe, s->sock);
}

static void prepare_accept(struct uring *u, struct io_uring_sqe *sqe, const struct io_accept *a)
{
    bool multi = uring_has(u, IO_MULTISHOT) && !a->single;
    int listener = a->listener;
    if (u->direct && multi)
        io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
    else if (u->direct)
        io_uring_prep_accept_direct(sqe, listener, NULL, NULL, 0, IORING_FILE_INDEX_ALLOC);
    else if (multi)
        io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
}

static void prepare_open(struct io_uring_sqe *sqe, const struct io_call *c)
{
    /* The kernel copies it; liburing's parameter is not const. */
    struct open_how *how = (struct open_how *)(uintptr_t)file_how(c);
    io_uring_prep_openat2(sqe, c->open.dirfd, c->open.path, how);
}

static void prepare(struct uring *u, struct io_uring_sqe *sqe, struct io_op *op)
{
    struct io_call *c = container_of(op, struct io_call, op);
    switch ((enum io_kind)op->kind) {
    case IO_ACCEPT: prepare_accept(u, sqe, container_of(op, struct io_accept, op)); break;
    case IO_RECV: prepare_recv(u, sqe, container_of(op, struct io_sock, recv)); break;
    case IO_SEND: prepare_send(sqe, container_of(op, struct io_send, op)); break;
    case IO_CONNECT:
        io_uring_prep_connect(sqe, c->connect.fd, c->connect.addr, c->connect.len);
        break;
    case IO_OPEN: prepare_open(sqe, c); break;
    case IO_STATX:
        io_uring_prep_statx(sqe, c->statx.dirfd, c->statx.path, c->statx.flags, STATX_BASIC_STATS,
                            c->statx.out);
        break;
    case IO_READ:
        io_uring_prep_read(sqe, c->read.fd, c->read.buf, c->read.size, c->read.offset);
        break;
    case IO_CLOSE: io_uring_prep_close(sqe, c->close.fd); break;
    case IO_CLOSE_SOCK:
        if (c->sock.sock->engine_bits & SOCK_DIRECT)
            io_uring_prep_close_direct(sqe, (unsigned)c->sock.sock->fd);
        else
            io_uring_prep_close(sqe, c->sock.sock->fd);
        break;
    case IO_SHUTDOWN:
        io_uring_prep_shutdown(sqe, c->sock.sock->fd, SHUT_WR);
        set_sock(sqe, c->sock.sock);
        break;
    case IO_UNACKED:
        io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_SIOCOUTQ, c->sock.sock->fd, 0, 0, NULL, 0);
        set_sock(sqe, c->sock.sock);
        break;
    case IO_POLL: io_uring_prep_poll_add(sqe, c->poll.fd, (unsigned)c->poll.events); break;
    case IO_POPULATE:
        io_uring_prep_madvise(sqe, c->populate.addr, c->populate.size, MADV_POPULATE_READ);
        break;
    case IO_NONE: ASSERT(!"an operation without a kind");
    }
    io_uring_sqe_set_data(sqe, op);
}

static void push(struct uring *u, struct io_op *op)
{
    /* Behind a backlog everything queues, or a cancel could overtake what it cancels. */
    struct io_uring_sqe *sqe = u->backlog.head ? NULL : get_sqe(u);
    if (UNLIKELY(!sqe)) {
        op->engine_bits |= BACKLOG;
        fifo_push(&u->backlog, &op->done);
        return;
    }
    prepare(u, sqe, op);
}

/* Cancelled while in the backlog, where it may have come half way: with a buffer taken for the next
 * step, or with some bytes sent. */
static void abandon(struct uring *u, struct io_op *op)
{
    if (op->kind == IO_RECV && !uring_has(u, IO_BUF_RING) && !(op->engine_bits & POLLING))
        buf_give(&u->io->bufs, (uint32_t)op->res);
    io_done(u->io, op, -ECANCELED);
}

static void drain_backlog(struct uring *u)
{
    while (u->backlog.head) {
        struct io_op *op = container_of(u->backlog.head, struct io_op, done);
        struct io_uring_sqe *sqe = op->cancelling ? NULL : get_sqe(u);
        if (!op->cancelling && !sqe) return;
        fifo_pop(&u->backlog);
        op->engine_bits &= (uint8_t)~BACKLOG;
        if (sqe)
            prepare(u, sqe, op);
        else
            abandon(u, op);
    }
}

/* ---- recv ---- */

/* The kernel's part of the stream has ended although the stream goes on: one-shot recv, a full
 * completion queue, or no buffer. It is armed again at the end of the turn. */
static void recv_wait(struct uring *u, struct io_sock *s)
{
    bool fed = s->recv.engine_bits & FED;
    if (s->recv.cancelling) {
        io_complete(u->io, &s->recv, -ECANCELED, false);
        return;
    }
    s->recv.engine_bits |= WAITING;
    list_push(fed ? &u->fed : &u->no_buffers, &s->queue);
}

static void wait_for_buffer(struct uring *u, struct io_sock *s)
{
    counter_add(&u->io->stats.no_buffers, 1);
    u->ran_out = true;
    recv_wait(u, s);
}

static void recv_arm(struct uring *u, struct io_sock *s)
{
    s->recv.engine_bits = uring_has(u, IO_BUF_RING) ? 0 : POLLING;
    push(u, &s->recv);
}

static void recv_data(struct uring *u, struct io_sock *s, uint32_t id, int n)
{
    s->recv.engine_bits |= FED;
    u->io->lease = buf_at(&u->io->bufs, id);
    io_complete(u->io, &s->recv, n, true);
    u->io->lease = NULL;
}

static void recv_cqe(struct uring *u, struct io_sock *s, int res, unsigned flags)
{
    struct buf_pool *p = &u->io->bufs;
    /* The id is meaningful only under the flag: an end-of-stream completion reads as buffer 0. */
    if (flags & IORING_CQE_F_BUFFER) {
        uint32_t id = flags >> IORING_CQE_BUFFER_SHIFT;
        buf_lease(p, id);
        if (res > 0) recv_data(u, s, id, res);
        buf_release(p, id);
    }
    if (flags & IORING_CQE_F_MORE) return;
    if (res > 0)
        recv_wait(u, s);
    else if (res == -ENOBUFS)
        wait_for_buffer(u, s);
    else
        io_complete(u->io, &s->recv, res, false);
}

/* Without provided buffers: poll, take a buffer, recv, and poll again. */
static void recv_cqe_polled(struct uring *u, struct io_sock *s, int res)
{
    struct buf_pool *p = &u->io->bufs;
    if (s->recv.engine_bits & POLLING) {
        s->recv.engine_bits &= (uint8_t)~POLLING;
        if (res < 0 || s->recv.cancelling) {
            io_complete(u->io, &s->recv, s->recv.cancelling ? -ECANCELED : res, false);
            return;
        }
        int id = buf_take(p);
        if (id < 0) {
            wait_for_buffer(u, s);
            return;
        }
        s->recv.res = id;
        push(u, &s->recv);
        return;
    }
    uint32_t id = (uint32_t)s->recv.res;
    if (res > 0) recv_data(u, s, id, res);
    buf_give(p, id);
    if (res > 0 || res == -EAGAIN)
        recv_wait(u, s);
    else
        io_complete(u->io, &s->recv, res, false);
}

static void publish_one(void *ctx, uint32_t id)
{
    struct uring *u = ctx;
    struct buf_pool *p = &u->io->bufs;
    io_uring_buf_ring_add(u->buf_ring, buf_at(p, id), p->size, (unsigned short)id,
                          io_uring_buf_ring_mask(p->count), (int)u->published++);
}

/* Those that had nothing the last time come first, or a socket with much to read could take every
 * buffer in each turn before the others come to theirs. */
static struct io_sock *next_waiting(struct uring *u)
{
    struct list *l = list_pop(&u->no_buffers);
    if (!l) l = list_pop(&u->fed);
    return l ? container_of(l, struct io_sock, queue) : NULL;
}

/* The kernel takes buffers in the order in which they came to the ring, so it goes through all that
 * the ring holds: it gets as many as the busiest turn so far was found to need, and what is beyond
 * costs no memory and no cache. */
static void fill_ring(struct uring *u)
{
    struct buf_pool *p = &u->io->bufs;
    if (u->ran_out && u->fill < p->count) u->fill *= 2;
    u->ran_out = false;
    for (int id; buf_in_ring(p) < u->fill && (id = buf_add(p)) >= 0;) publish_one(u, (uint32_t)id);
}

static uint32_t available(const struct uring *u)
{
    return u->buf_ring ? buf_in_ring(&u->io->bufs) : u->io->bufs.n_free;
}

/* Below, waiting sockets are not armed: they would starve again at once. */
static uint32_t low_water(const struct uring *u)
{
    return u->fill / 4 ? u->fill / 4 : 1;
}

/* Once a turn: buffers go back to the kernel, and waiting sockets are armed, no more of them than
 * there are buffers. */
static void publish_buffers(struct uring *u)
{
    if (u->buf_ring) {
        u->published = 0;
        buf_publish(&u->io->bufs, publish_one, u);
        fill_ring(u);
        if (u->published) io_uring_buf_ring_advance(u->buf_ring, (int)u->published);
    }
    uint32_t n = available(u);
    /* A completion that the queue had no room for may hold the buffer that seems to be there. */
    if (n < low_water(u) || io_uring_cq_has_overflow(&u->ring)) return;
    for (struct io_sock *s; n > 0 && (s = next_waiting(u)); n--) {
        counter_add(&u->io->stats.rearmed, 1);
        recv_arm(u, s);
    }
}

/* Those just armed may have nothing to read and those still waiting may have: with buffers at hand,
 * the next turn must come to them without waiting for a completion. */
static bool can_arm_more(const struct uring *u)
{
    return (!list_empty(&u->no_buffers) || !list_empty(&u->fed)) && available(u) >= low_water(u);
}

/* ---- other completions ---- */

static void accept_cqe(struct uring *u, struct io_op *op, int res, unsigned flags)
{
    bool passing = res == -ECONNABORTED || res == -EINTR || res == -EPROTO;
    if (res >= 0) io_complete(u->io, op, res, true);
    if (flags & IORING_CQE_F_MORE) return;
    if (op->cancelling) {
        io_complete(u->io, op, -ECANCELED, false);
    } else if (res >= 0 || passing) {
        counter_add(&u->io->stats.rearmed, 1);
        push(u, op);
    } else {
        io_complete(u->io, op, res, false);
    }
}

static void send_cqe(struct uring *u, struct io_send *s, int res)
{
    if (res > 0 && !io_send_advance(s, (size_t)res)) {
        if (!s->op.cancelling) {
            push(u, &s->op);
            return;
        }
        res = -ECANCELED;
    }
    io_complete(u->io, &s->op, res > 0 ? s->op.res : res, false);
}

static void run_cqe(struct uring *u, uint64_t data, int res, unsigned flags)
{
    if (data <= DATA_WAKE) {
        if (data == DATA_WAKE) {
            struct io_uring_sqe *sqe = need_sqe(u);
            io_uring_prep_read(sqe, u->io->wake_fd, &u->wake_count, sizeof u->wake_count, 0);
            io_uring_sqe_set_data64(sqe, DATA_WAKE);
            if (res > 0 && u->io->on_wake) u->io->on_wake(u->io);
        }
        return;
    }
    struct io_op *op = (struct io_op *)(uintptr_t)data;
    switch (op->kind) {
    case IO_RECV: {
        struct io_sock *s = container_of(op, struct io_sock, recv);
        if (uring_has(u, IO_BUF_RING))
            recv_cqe(u, s, res, flags);
        else
            recv_cqe_polled(u, s, res);
        break;
    }
    case IO_SEND: send_cqe(u, container_of(op, struct io_send, op), res); break;
    case IO_ACCEPT: accept_cqe(u, op, res, flags); break;
    case IO_OPEN: {
        const struct io_call *c = container_of(op, struct io_call, op);
        io_complete(u->io, op, file_opened(c, res), false);
        break;
    }
    default: io_complete(u->io, op, res, false);
    }
}

static void uring_wait(struct io *io, uint64_t timeout_ns)
{
    struct uring *u = uring_of(io);
    struct io_uring_cqe *cqe;
    drain_backlog(u);
    counter_add(&io->stats.enters, 1);
    counter_add(&io->stats.syscalls, 1);
    if (timeout_ns == 0 || io->done.head || u->backlog.head || can_arm_more(u)) {
        io_uring_submit_and_get_events(&u->ring);
    } else {
        struct __kernel_timespec ts = {(int64_t)(timeout_ns / NS_PER_S),
                                       (long long)(timeout_ns % NS_PER_S)};
        io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, timeout_ns == WHEEL_NEVER ? NULL : &ts,
                                         NULL);
    }
    io->now = clock_ns();
    if (UNLIKELY(io_uring_cq_has_overflow(&u->ring))) counter_add(&io->stats.overflows, 1);
    /* Only what is there now: completions that callbacks bring about wait for the next turn. */
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
    publish_buffers(u);
}

/* ---- submitting ---- */

static void uring_accept(struct io *io, struct io_accept *a)
{
    push(uring_of(io), &a->op);
}

static void uring_recv(struct io *io, struct io_sock *s)
{
    recv_arm(uring_of(io), s);
}

static void uring_send(struct io *io, struct io_send *s)
{
    push(uring_of(io), &s->op);
}

static void uring_call(struct io *io, struct io_call *c)
{
    if (c->op.kind == IO_UNACKED && !(c->sock.sock->engine_bits & SOCK_DIRECT))
        io_done(io, &c->op, sock_unacked(c->sock.sock->fd)); /* there is an older way to ask */
    else
        push(uring_of(io), &c->op);
}

static void uring_cancel(struct io *io, struct io_op *op)
{
    struct uring *u = uring_of(io);
    if (op->engine_bits & BACKLOG) return; /* drain_backlog completes it */
    if (op->kind == IO_RECV && op->engine_bits & WAITING) {
        list_unlink(&container_of(op, struct io_sock, recv)->queue);
        io_done(io, op, -ECANCELED);
        return;
    }
    struct io_uring_sqe *sqe = need_sqe(u);
    io_uring_prep_cancel(sqe, op, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, DATA_IGNORE);
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
        close(fd);
        return;
    }
    struct io_uring_sqe *sqe = need_sqe(u);
    io_uring_prep_close_direct(sqe, (unsigned)fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, DATA_IGNORE);
}

/* ---- open and close ---- */

static int uring_open(struct io *io, const struct io_config *config)
{
    struct uring *u = calloc(1, sizeof *u);
    if (!u) return -ENOMEM;
    u->io = io;
    list_init(&u->no_buffers);
    list_init(&u->fed);
    int err = uring_setup(u, config);
    if (err < 0) {
        free(u);
        return err;
    }
    io->state = u;
    io->config.depth = u->ring.sq.ring_entries;
    io->config.cq_depth = u->ring.cq.ring_entries;
    io->config.features = u->features;
    u->fill = u->buf_ring && io->bufs.count > FILL_FIRST ? FILL_FIRST : io->bufs.count;
    publish_buffers(u);
    run_cqe(u, DATA_WAKE, 0, 0);
    return 0;
}

static void uring_close(struct io *io)
{
    struct uring *u = uring_of(io);
    ASSERT(list_empty(&u->no_buffers) && list_empty(&u->fed) && !u->backlog.head);
    if (u->buf_ring) io_uring_free_buf_ring(&u->ring, u->buf_ring, io->bufs.count, BUF_GROUP);
    io_uring_queue_exit(&u->ring);
    free(u);
    io->state = NULL;
}

const struct io_engine io_uring_engine = {
    .name = "io_uring",
    .has_ring = true,
    .blocking_listener = true, /* on a non-blocking one, accept answers -EAGAIN and does not wait */
    .probe = uring_probe,
    .open = uring_open,
    .close = uring_close,
    .wait = uring_wait,
    .accept = uring_accept,
    .recv = uring_recv,
    .send = uring_send,
    .call = uring_call,
    .cancel = uring_cancel,
    .sock_open = uring_sock_open,
    .descriptor = uring_descriptor,
    .discard = uring_discard,
};
