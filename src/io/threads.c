/* The engine of the classic model: a thread takes a connection and serves it to its end. It waits
 * in poll(2), for the few descriptors that one connection needs: the socket, what its handler waits
 * for, and what wakes the thread; and in recv(2) where a client's next request is all there is to
 * wait for, and follows soon. Nothing stays registered from one wait to the next. */

#include "io/threads.h"

#include "io/nonblock.h"
#include "io/readiness.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { RECV_SHARE = 8 }; /* recv calls per socket and turn, for fairness */

/* engine_bits of a socket. BRISK: its bytes have come within RECV_WAIT_NS, so the next ones may.
 * TIMED: a recv that waits ends after that time. */
enum { ACCEPTED = 1, USED = 2, BRISK = 4, TIMED = 8 };

/* A wake, a post or a command reaches a thread that waits in recv(2) after so long at most. */
#define RECV_WAIT_NS (10 * NS_PER_MS)

static void attend(struct io *io, struct io_sock *s)
{
    if (list_empty(&s->queue)) list_push(&threads_of(io)->socks, &s->queue);
}

/* ---- recv and send ---- */

static void threads_recv(struct io *io, struct io_sock *s)
{
    attend(io, s);
}

/* True if there may be more. `waits`: for the first bytes, see awaited. */
static bool recv_once(struct io *io, struct io_sock *s, bool waits)
{
    int id = buf_get(&io->bufs);
    ASSERT(id >= 0); /* a lease ends with its callback, so at most one is in use */
    char *bytes = buf_at(&io->bufs, (uint32_t)id);
    counter_add(&io->stats.syscalls, 1);
    ssize_t n = ready_recv(s->fd, bytes, io->bufs.size, waits ? 0 : MSG_DONTWAIT);
    int err = n < 0 ? errno : 0;
    if (waits) io_waited(io);
    if (n > 0) {
        counter_add(&io->stats.cqes, 1);
        io->lease = bytes;
        io_complete(io, &s->recv, (int)n, true);
        io->lease = NULL;
    }
    buf_put(&io->bufs, (uint32_t)id);
    if (n > 0) return (uint32_t)n == io->bufs.size;
    if (waits && err == EAGAIN) s->engine_bits &= (uint8_t)~BRISK;
    if (err != EAGAIN && err != EINTR) io_complete(io, &s->recv, -err, false);
    return false;
}

static bool receives(const struct io_sock *s)
{
    return s->recv.kind == IO_RECV && !s->recv.cancelling;
}

static bool receives_into(const struct io_sock *s)
{
    return s->recv.kind == IO_RECV_INTO && !s->recv.cancelling;
}

static void recv_into(struct io *io, struct io_sock *s)
{
    int n = ready_recv_into(io, s);
    if (n != -EAGAIN) io_complete(io, &s->recv, n, false);
}

static void recv_some(struct io *io, struct io_sock *s, bool waits)
{
    for (int share = RECV_SHARE; share > 0 && receives(s) && recv_once(io, s, waits); share--)
        waits = false;
}

static bool waits_to_send(const struct io_sock *s)
{
    return s->sending && !(s->sending->op.engine_bits & READY_DONE);
}

static void watch_ready(struct io *io, struct io_sock *s, short events)
{
    if (s->recv.engine_bits & READY_DONE) return;
    if (events & (POLLERR | POLLHUP | POLLNVAL))
        ready_finish(io, &s->recv, -ECONNRESET);
    else if (events & POLLRDHUP)
        ready_finish(io, &s->recv, -ESHUTDOWN);
}

/* Bytes have come. The first of a connection come soon whether or not others follow. */
static void note_pace(struct io *io, struct io_sock *s)
{
    bool soon = io->now - io->turn_end < RECV_WAIT_NS;
    if (soon && (s->engine_bits & USED)) s->engine_bits |= BRISK;
    s->engine_bits |= USED;
}

static void sock_ready(struct io *io, struct io_sock *s, short events)
{
    if ((events & ~(POLLIN | POLLRDHUP)) && waits_to_send(s)) ready_send(io, s->sending);
    if (s->recv.kind == IO_WATCH) {
        watch_ready(io, s, events);
        return;
    }
    if (receives_into(s)) {
        recv_into(io, s);
        return;
    }
    if (s->engine_bits & ACCEPTED) note_pace(io, s);
    recv_some(io, s, false);
}

static void threads_send(struct io *io, struct io_send *s)
{
    ready_send(io, s);
    if (!(s->op.engine_bits & READY_DONE)) attend(io, s->sock);
}

/* What to poll the socket for; -1 for nothing. */
static int interest(const struct io_sock *s)
{
    int events = waits_to_send(s) ? POLLOUT : 0;
    if (receives(s) || receives_into(s)) return events | POLLIN;
    if (s->recv.kind == IO_WATCH && !s->recv.cancelling)
        return events | (s->recv.res ? POLLRDHUP : 0); /* errors are told unasked */
    return events ? events : -1;
}

/* ---- operations with one completion ---- */

static void close_sock(struct io *io, struct io_call *c)
{
    struct io_sock *s = c->sock.sock;
    list_unlink(&s->queue);
    counter_add(&io->stats.syscalls, 1);
    int res = close(s->fd) < 0 ? -errno : 0;
    if (s->engine_bits & ACCEPTED) threads_closed(io);
    ready_finish(io, &c->op, res);
}

/* Files, and the devices null, zero and full (devices.txt of Linux), of which epoll can watch none.
 */
static bool is_always_ready(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0) return false;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return true;
    unsigned number = minor(st.st_rdev);
    return S_ISCHR(st.st_mode) && major(st.st_rdev) == 1 &&
           (number == 3 || number == 5 || number == 7);
}

/* What is always ready is so for what it can be ready for; poll(2) would wait for anything else. */
static void start_poll(struct io *io, struct io_call *c)
{
    if (!ready_poll(io, c)) return;
    bool common = c->poll.events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    if (!common && is_always_ready(c->poll.watched)) {
        ready_poll_end(io, c);
        ready_finish(io, &c->op, -EINVAL);
        return;
    }
    fifo_push(&threads_of(io)->calls, &c->op.done);
}

static void threads_call(struct io *io, struct io_call *c)
{
    switch ((enum io_kind)c->op.kind) {
    case IO_CLOSE_SOCK: close_sock(io, c); break;
    case IO_POLL: start_poll(io, c); break;
    case IO_CONNECT:
        if (ready_connect(io, c)) fifo_push(&threads_of(io)->calls, &c->op.done);
        break;
    default: ready_call(io, c);
    }
}

static void remove_call(struct threads *t, struct io_call *c)
{
    struct fifo kept = {0};
    for (struct fifo_node *n; (n = fifo_pop(&t->calls));)
        if (n != &c->op.done) fifo_push(&kept, n);
    t->calls = kept;
}

static void call_ready(struct io *io, struct io_call *c, short events)
{
    if (c->op.engine_bits & READY_DONE) return;
    remove_call(threads_of(io), c);
    if (c->op.kind == IO_CONNECT) {
        ready_connected(io, c);
        return;
    }
    ready_poll_end(io, c);
    ready_finish(io, &c->op, events);
}

static void cancel_call(struct io *io, struct io_call *c)
{
    remove_call(threads_of(io), c);
    if (c->op.kind == IO_POLL) ready_poll_end(io, c);
    ready_finish(io, &c->op, -ECANCELED);
}

static void threads_cancel(struct io *io, struct io_op *op)
{
    if (op->engine_bits & READY_DONE) return;
    switch ((enum io_kind)op->kind) {
    case IO_RECV:
    case IO_RECV_INTO:
    case IO_WATCH:
    case IO_SEND: ready_finish(io, op, -ECANCELED); break;
    case IO_ACCEPT: threads_cancel_accept(io, container_of(op, struct io_accept, op)); break;
    case IO_POLL:
    case IO_CONNECT: cancel_call(io, container_of(op, struct io_call, op)); break;
    default: break; /* the others complete synchronously */
    }
}

/* ---- the turn ---- */

void threads_poll(struct io *io, int fd, int events, void *ptr, int kind)
{
    int err = poll_set_add(&threads_of(io)->polled, fd, events, ptr, kind);
    if (UNLIKELY(err < 0)) io->error = err;
}

/* The time by which it has to look again. */
static uint64_t gather(struct io *io)
{
    struct threads *t = threads_of(io);
    t->polled.n = 0;
    threads_poll(io, io->wake_fd, POLLIN, NULL, OF_WAKE);
    for (struct list *l = t->socks.next, *next; l != &t->socks; l = next) {
        struct io_sock *s = container_of(l, struct io_sock, queue);
        int events = interest(s);
        next = l->next;
        if (events < 0)
            list_unlink(l);
        else
            threads_poll(io, s->fd, events, s, OF_SOCK);
    }
    for (struct fifo_node *n = t->calls.head; n; n = n->next) {
        struct io_call *c = container_of(container_of(n, struct io_op, done), struct io_call, op);
        bool poll = c->op.kind == IO_POLL;
        threads_poll(io, poll ? c->poll.watched : c->connect.fd, poll ? c->poll.events : POLLOUT, c,
                     OF_CALL);
    }
    return threads_poll_entrances(io);
}

static void drain_wake(struct io *io)
{
    uint64_t count;
    counter_add(&io->stats.syscalls, 1);
    ssize_t n = read(io->wake_fd, &count, sizeof count);
    (void)n; /* EAGAIN: nobody has woken it since */
    io_woken(io);
}

/* What a callback closes or cancels is freed by its completion, later in the turn, so all that was
 * polled is still there, but for an accept stream. */
static void dispatch(struct io *io, const struct poll_target *target, short events)
{
    switch (target->kind) {
    case OF_WAKE:
        if (events & POLLNVAL) io->error = -EBADF;
        drain_wake(io);
        break;
    case OF_SOCK: sock_ready(io, target->ptr, events); break;
    case OF_CALL: call_ready(io, target->ptr, events); break;
    case OF_ENTRANCE: threads_entrance_ready(io, target->ptr); break;
    }
}

/* Whether something other than a connection runs next, for who knows how long. */
static bool has_work(const struct io *io)
{
    return io->tasks.head || io->done.head || io->posts || wheel_next(&io->wheel) <= io->now;
}

static void wait_in_poll(struct io *io, uint64_t timeout_ns)
{
    struct poll_set *p = &threads_of(io)->polled;
    uint64_t again = gather(io), left = again - io->turn_end;
    if (UNLIKELY(again != WHEEL_NEVER && left < timeout_ns)) timeout_ns = left;
    if (UNLIKELY(io->error)) return;
    counter_add(&io->stats.syscalls, 1);
    int n = poll_set_wait(p, timeout_ns);
    if (UNLIKELY(n < 0 && n != -EINTR)) io->error = n;
    io_waited(io);
    for (uint32_t i = 0; n > 0 && i < p->n; i++) {
        if (!p->fds[i].revents) continue;
        n--;
        dispatch(io, &p->targets[i], p->fds[i].revents);
    }
}

/* Has a recv of the socket wait for RECV_WAIT_NS at most. */
static bool limit_recv(struct io *io, struct io_sock *s)
{
    const struct timeval most = {.tv_usec = RECV_WAIT_NS / 1000};
    if (s->engine_bits & TIMED) return true;
    counter_add(&io->stats.syscalls, 1);
    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) == 0)
        s->engine_bits |= TIMED;
    else
        s->engine_bits &= (uint8_t)~BRISK;
    return s->engine_bits & TIMED;
}

/* The connection for whose bytes alone the thread waits, if they are likely to come soon: it then
 * does so in recv(2), which saves the poll. That sees nothing else, so it is for a thread with
 * nothing else to see, but for what can wait for RECV_WAIT_NS. NULL: there is none. */
static struct io_sock *awaited(struct io *io, uint64_t timeout_ns)
{
    struct threads *t = threads_of(io);
    struct list *l = t->socks.next;
    if (!io->config.one_connection || l == &t->socks || l->next != &t->socks) return NULL;
    struct io_sock *s = container_of(l, struct io_sock, queue);
    if (!(s->engine_bits & BRISK) || !receives(s) || waits_to_send(s)) return NULL;
    if (timeout_ns < 2 * RECV_WAIT_NS || io->n_parked || t->calls.head) return NULL;
    if (atomic_load_explicit(&io->inbox.woken, memory_order_relaxed)) return NULL;
    return limit_recv(io, s) ? s : NULL;
}

static void threads_wait(struct io *io, uint64_t timeout_ns)
{
    struct io_sock *s = awaited(io, timeout_ns);
    counter_add(&io->stats.enters, 1);
    if (s)
        recv_some(io, s, true);
    else
        wait_in_poll(io, timeout_ns);
    if (UNLIKELY(io->error) || has_work(io)) threads_leave_doors(io);
}

static int threads_sock_open(struct io *io, struct io_sock *s, bool accepted)
{
    (void)io;
    s->engine_bits = accepted ? ACCEPTED : 0;
    return accepted ? 0 : nonblock_set(s->fd, true);
}

static int threads_descriptor(const struct io_sock *s)
{
    return s->fd;
}

/* ---- open and close ---- */

static int threads_open(struct io *io, const struct io_config *config)
{
    (void)config;
    struct threads *t = calloc(1, sizeof *t);
    if (!t || poll_set_init(&t->polled) < 0) {
        free(t);
        return -ENOMEM;
    }
    list_init(&t->socks);
    list_init(&t->entrances);
    io->state = t;
    io->config.features = 0;
    return 0;
}

static void threads_close(struct io *io)
{
    struct threads *t = threads_of(io);
    poll_set_free(&t->polled);
    free(t);
    io->state = NULL;
}

const struct io_engine io_threads_engine = {
    .name = "threads",
    .holds_thread = true,
    .blocking_sockets = true,
    .wait_call = "ppoll",
    .probe = ready_probe,
    .open = threads_open,
    .close = threads_close,
    .wait = threads_wait,
    .accept = threads_accept,
    .recv = threads_recv,
    .recv_into = threads_recv,
    .watch = threads_recv,
    .send = threads_send,
    .send_file = threads_send,
    .call = threads_call,
    .cancel = threads_cancel,
    .sock_open = threads_sock_open,
    .descriptor = threads_descriptor,
    .discard = threads_discard,
};
