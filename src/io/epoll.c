/* The epoll engine, edge-triggered. Every socket is registered once, for both directions. A send is
 * tried at once and waits for an edge only if the socket is full; a short read shows that the
 * socket is empty without another system call. */

#include "io/epoll.h"
#include "io/nonblock.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    RECV_SHARE = 8, /* recv calls per socket and turn, for fairness */
    ACCEPT_SHARE = 64,
    BUSY_WAITS = 64, /* brief ones in a row */
};

#define BRIEF_WAIT_NS NS_PER_MS

/* engine_bits of a socket */
enum {
    READABLE = 1,
    ENDED = 2,  /* end of stream or an error, after the bytes */
    BROKEN = 4, /* an error, or both directions have ended */
    URGENT = 8, /* urgent data has come (tcp(7)): a recv ends where that is, before later bytes */
};

/* ---- recv ---- */

static void make_ready(struct ep *ep, struct io_sock *s)
{
    bool receives = s->recv.kind == IO_RECV || s->recv.kind == IO_RECV_INTO;
    if ((s->engine_bits & READABLE) && receives && list_empty(&s->queue))
        list_push(&ep->ready, &s->queue);
}

/* A short read means that the socket is empty and the next bytes bring an edge (epoll(7), Q9), but
 * not at the end of the stream: its edge came with the last bytes. Nor at urgent data, whose edge
 * is that of the bytes behind it; a peer that sends such may do so again. */
static void note_short(struct io_sock *s)
{
    if (!(s->engine_bits & (ENDED | URGENT))) s->engine_bits &= (uint8_t)~READABLE;
}

static void run_recv(struct io *io, struct io_sock *s)
{
    for (int share = RECV_SHARE; share > 0 && !s->recv.cancelling; share--) {
        int id = buf_get(&io->bufs);
        ASSERT(id >= 0); /* a lease ends with its callback, so at most one is in use */
        counter_add(&io->stats.syscalls, 1);
        ssize_t n = ready_recv(s->fd, buf_at(&io->bufs, (uint32_t)id), io->bufs.size, 0);
        int err = n < 0 ? errno : 0;
        if (n > 0) {
            counter_add(&io->stats.cqes, 1);
            if ((uint32_t)n < io->bufs.size) note_short(s);
            io->lease = buf_at(&io->bufs, (uint32_t)id);
            io_complete(io, &s->recv, (int)n, true);
            io->lease = NULL;
        }
        buf_put(&io->bufs, (uint32_t)id);
        if (n > 0 && !(s->engine_bits & READABLE)) return;
        if (n > 0 || err == EINTR) continue;
        if (err == EAGAIN)
            s->engine_bits &= (uint8_t)~READABLE;
        else
            io_complete(io, &s->recv, -err, false);
        return;
    }
    if (io_busy(&s->recv) && !s->recv.cancelling) make_ready(ep_of(io), s);
}

static void run_recv_into(struct io *io, struct io_sock *s)
{
    if (s->recv.cancelling) return;
    int n = ready_recv_into(io, s);
    if (n == -EAGAIN) {
        s->engine_bits &= (uint8_t)~READABLE;
        return;
    }
    if (n > 0 && n < s->recv.res) note_short(s);
    io_complete(io, &s->recv, n, false);
}

static void run_ready(struct io *io, struct io_sock *s)
{
    if (s->recv.kind == IO_RECV_INTO)
        run_recv_into(io, s);
    else
        run_recv(io, s);
}

static void epoll_recv(struct io *io, struct io_sock *s)
{
    make_ready(ep_of(io), s);
}

static void epoll_watch(struct io *io, struct io_sock *s)
{
    if (s->recv.kind != IO_WATCH || (s->recv.engine_bits & READY_DONE)) return;
    if (s->engine_bits & BROKEN)
        ready_finish(io, &s->recv, -ECONNRESET);
    else if ((s->engine_bits & ENDED) && s->recv.res)
        ready_finish(io, &s->recv, -ESHUTDOWN);
}

/* ---- send ---- */

/* `more`: it has had its share. */
static void queue_rest(struct io *io, struct io_send *s, bool more)
{
    if (LIKELY(!more)) return;
    s->op.engine_bits |= QUEUED;
    fifo_push(&ep_of(io)->sends, &s->op.done);
}

static void go_on(struct io *io, struct io_send *s)
{
    s->sock->sent_in = (uint16_t)io->stats.turns;
    queue_rest(io, s, ready_send(io, s));
}

/* Whoever sends again as soon as a send has completed would have several in a turn, and with each
 * the time that it takes to write what is sent. */
static void epoll_send(struct io *io, struct io_send *s)
{
    if (UNLIKELY(s->sock->sent_in == (uint16_t)io->stats.turns))
        queue_rest(io, s, true);
    else
        go_on(io, s);
}

/* Those of earlier turns. */
static void send_on(struct io *io)
{
    struct fifo sends = ep_of(io)->sends;
    ep_of(io)->sends = (struct fifo){0};
    for (struct fifo_node *n; (n = fifo_pop(&sends));) {
        struct io_send *s = container_of(container_of(n, struct io_op, done), struct io_send, op);
        s->op.engine_bits &= (uint8_t)~QUEUED;
        if (s->op.cancelling)
            ready_finish(io, &s->op, -ECANCELED);
        else
            go_on(io, s);
    }
}

/* ---- accept ---- */

static void epoll_accept(struct io *io, struct io_accept *a)
{
    /* Level-triggered, so that connections left over from a batch are reported again. */
    int err = epoll_control(io, EPOLL_CTL_ADD, a->listener, EPOLLIN, a, TAG_ACCEPT);
    if (err < 0) ready_finish(io, &a->op, err);
}

static void run_accept(struct io *io, struct io_accept *a)
{
    a->op.engine_bits &= (uint8_t)~QUEUED;
    if (a->op.cancelling) {
        io_complete(io, &a->op, -ECANCELED, false);
        return;
    }
    for (int share = ACCEPT_SHARE; share > 0 && !a->op.cancelling; share--) {
        counter_add(&io->stats.syscalls, 1);
        int fd = accept4(a->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            counter_add(&io->stats.cqes, 1);
            io_complete(io, &a->op, fd, true);
            continue;
        }
        if (errno == EAGAIN) return;
        if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
        int err = errno;
        epoll_control(io, EPOLL_CTL_DEL, a->listener, 0, NULL, 0);
        io_complete(io, &a->op, -err, false);
        return;
    }
}

/* ---- cancel ---- */

static void epoll_cancel(struct io *io, struct io_op *op)
{
    if (op->engine_bits & READY_DONE) return;
    switch ((enum io_kind)op->kind) {
    case IO_RECV:
    case IO_RECV_INTO:
        list_unlink(&container_of(op, struct io_sock, recv)->queue);
        ready_finish(io, op, -ECANCELED);
        break;
    case IO_WATCH: ready_finish(io, op, -ECANCELED); break;
    case IO_SEND:
        if (!(op->engine_bits & QUEUED)) ready_finish(io, op, -ECANCELED); /* else send_on does */
        break;
    case IO_ACCEPT: {
        struct io_accept *a = container_of(op, struct io_accept, op);
        epoll_control(io, EPOLL_CTL_DEL, a->listener, 0, NULL, 0);
        if (!(op->engine_bits & QUEUED)) ready_finish(io, op, -ECANCELED);
        break;
    }
    case IO_POLL:
    case IO_CONNECT: epoll_call_cancel(io, container_of(op, struct io_call, op)); break;
    default: break; /* the others complete synchronously */
    }
}

/* ---- the turn ---- */

/* A timeout argument makes the kernel set and cancel a timer in every wait. Most of the time the
 * next deadline moves later from turn to turn, so a timerfd, once set, can stay. False if the
 * system refuses it. */
static bool set_timer(struct io *io, uint64_t deadline)
{
    struct ep *ep = ep_of(io);
    if (deadline >= ep->timer) return true;
    struct itimerspec at = {
        .it_value = {(time_t)(deadline / NS_PER_S), (long)(deadline % NS_PER_S)}};
    counter_add(&io->stats.syscalls, 1);
    if (timerfd_settime(ep->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) < 0) return false;
    ep->timer = deadline;
    return true;
}

/* For epoll_wait, in ms; rounded up, as it would return before the timers are due otherwise. A core
 * that is not busy affords a timeout: that comes even if the program has closed the timerfd, with
 * all that could wake the core (io_check). */
static int timeout_for(struct io *io, uint64_t timeout_ns)
{
    const struct ep *ep = ep_of(io);
    if (timeout_ns == 0 || !list_empty(&ep->ready) || ep->sends.head) return 0;
    if (timeout_ns == WHEEL_NEVER) return -1;
    if (set_timer(io, io->turn_end + timeout_ns) && ep->brief >= BUSY_WAITS) return -1;
    uint64_t ms = timeout_ns / NS_PER_MS + 1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int wait_events(struct io *io, uint64_t timeout_ns)
{
    struct ep *ep = ep_of(io);
    int timeout = timeout_for(io, timeout_ns);
    counter_add(&io->stats.enters, 1);
    counter_add(&io->stats.syscalls, 1);
    return epoll_wait(ep->fd, ep->events, EPOLL_BATCH, timeout);
}

/* Events are recorded here and handled afterwards, so that no callback can free the object of a
 * later event in the same batch. */
static void note_event(struct io *io, const struct epoll_event *e, bool *woken)
{
    struct ep *ep = ep_of(io);
    void *ptr = (void *)(uintptr_t)(e->data.u64 & ~(uint64_t)TAG_MASK);
    switch (e->data.u64 & TAG_MASK) {
    case TAG_SOCK: {
        struct io_sock *s = ptr;
        if (e->events & ~(uint32_t)EPOLLOUT) {
            s->engine_bits |= READABLE;
            if (e->events & EPOLLPRI) s->engine_bits |= URGENT;
            if (e->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->engine_bits |= ENDED;
            if (e->events & (EPOLLHUP | EPOLLERR)) s->engine_bits |= BROKEN;
            make_ready(ep, s);
            if (s->engine_bits & ENDED) epoll_watch(io, s);
        }
        if ((e->events & ~(uint32_t)EPOLLIN) && s->sending &&
            !(s->sending->op.engine_bits & (READY_DONE | QUEUED)))
            go_on(io, s->sending);
        break;
    }
    case TAG_ACCEPT: {
        struct io_op *op = &((struct io_accept *)ptr)->op;
        op->engine_bits |= QUEUED;
        fifo_push(&ep->accepts, &op->done);
        break;
    }
    case TAG_CALL: epoll_call_ready(io, ptr, e->events); break;
    case TAG_CORE:
        if (ptr == &ep->timer)
            ep->timer = WHEEL_NEVER; /* setting it again causes the next edge, so it is not read */
        else
            *woken = true;
        break;
    }
}

static void epoll_engine_wait(struct io *io, uint64_t timeout_ns)
{
    struct ep *ep = ep_of(io);
    bool woken = false;
    int n = wait_events(io, timeout_ns);
    if (UNLIKELY(n < 0 && errno != EINTR)) io->error = -errno;
    io_waited(io);
    ep->brief = io->now - io->turn_end < BRIEF_WAIT_NS ? ep->brief + 1 : 0;
    send_on(io);
    for (int i = 0; i < n; i++) note_event(io, &ep->events[i], &woken);
    if (woken) io_woken(io);
    for (struct fifo_node *a; (a = fifo_pop(&ep->accepts));)
        run_accept(io, container_of(a, struct io_accept, op.done));
    struct list ready;
    list_move(&ep->ready, &ready);
    for (struct list *l; (l = list_pop(&ready));) {
        io_prefetch((char *)ready.next + 64);
        run_ready(io, container_of(l, struct io_sock, queue));
    }
}

static int epoll_sock_open(struct io *io, struct io_sock *s, bool accepted)
{
    int err = accepted ? 0 : nonblock_set(s->fd, true);
    if (err < 0) return err;
    s->engine_bits = 0;
    return epoll_control(io, EPOLL_CTL_ADD, s->fd,
                         EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, s, TAG_SOCK);
}

static int epoll_descriptor(const struct io_sock *s)
{
    return s->fd;
}

static void epoll_discard(struct io *io, int fd)
{
    counter_add(&io->stats.syscalls, 1);
    close(fd);
}

/* ---- open and close ---- */

static void close_fds(struct ep *ep)
{
    if (ep->fd >= 0) close(ep->fd);
    if (ep->timer_fd >= 0) close(ep->timer_fd);
    free(ep);
}

static int epoll_open(struct io *io, const struct io_config *config)
{
    (void)config;
    struct ep *ep = calloc(1, sizeof *ep);
    if (!ep) return -ENOMEM;
    list_init(&ep->ready);
    ep->timer = WHEEL_NEVER;
    ep->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    ep->fd = epoll_create1(EPOLL_CLOEXEC);
    io->state = ep;
    int err = ep->fd < 0 ? -errno : 0;
    if (err == 0)
        err = epoll_control(io, EPOLL_CTL_ADD, io->wake_fd, EPOLLIN | EPOLLET, NULL, TAG_CORE);
    if (err == 0 && ep->timer_fd >= 0)
        err =
            epoll_control(io, EPOLL_CTL_ADD, ep->timer_fd, EPOLLIN | EPOLLET, &ep->timer, TAG_CORE);
    if (err < 0) {
        io->refused = (struct io_refusal){ep->fd < 0 ? "epoll_create1" : "epoll_ctl", ""};
        close_fds(ep);
        io->state = NULL;
        return err;
    }
    io->config.features = 0;
    return 0;
}

static void epoll_close(struct io *io)
{
    ASSERT(list_empty(&ep_of(io)->ready) && !ep_of(io)->sends.head);
    close_fds(ep_of(io));
    io->state = NULL;
}

const struct io_engine io_epoll_engine = {
    .name = "epoll",
    .wait_call = "epoll_wait",
    .calls_hold = true,
    .probe = ready_probe,
    .open = epoll_open,
    .close = epoll_close,
    .wait = epoll_engine_wait,
    .accept = epoll_accept,
    .recv = epoll_recv,
    .recv_into = epoll_recv,
    .watch = epoll_watch,
    .send = epoll_send,
    .send_file = epoll_send,
    .call = epoll_call,
    .cancel = epoll_cancel,
    .sock_open = epoll_sock_open,
    .descriptor = epoll_descriptor,
    .discard = epoll_discard,
};
