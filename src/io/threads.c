/* The engine of the classic model: a thread takes a connection and serves it to its end. It waits
 * in poll(2), for the few descriptors that one connection needs: the socket, what its handler waits
 * for, and what wakes the thread. The kernel is asked about each before it is read, and nothing
 * stays registered from one wait to the next. */

#include "io/door.h"
#include "io/poll_set.h"
#include "io/readiness.h"
#include "io/sock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RECV_SHARE = 8, /* recv calls per socket and turn, for fairness */
    ACCEPT_SHARE = 64,
};

/* engine_bits of a socket */
enum { ACCEPTED = 1 };

/* An accept stream. */
struct entrance {
    struct list link;
    struct io_accept *accept;
    struct door_place place; /* with config.one_connection */
};

/* What a polled descriptor is of. */
enum { OF_WAKE, OF_SOCK, OF_CALL, OF_ENTRANCE };

struct threads {
    struct list socks; /* that receive, are watched, or wait to send */
    struct fifo calls; /* polls and connects */
    struct list entrances;
    uint32_t n_accepted; /* accepted connections that are open */
    struct poll_set polled;
};

static struct threads *threads_of(struct io *io)
{
    return io->state;
}

static void attend(struct io *io, struct io_sock *s)
{
    if (list_empty(&s->queue)) list_push(&threads_of(io)->socks, &s->queue);
}

/* ---- recv and send ---- */

static void threads_recv(struct io *io, struct io_sock *s)
{
    attend(io, s);
}

/* True if there may be more. */
static bool recv_once(struct io *io, struct io_sock *s)
{
    int id = buf_get(&io->bufs);
    ASSERT(id >= 0); /* a lease ends with its callback, so at most one is in use */
    char *bytes = buf_at(&io->bufs, (uint32_t)id);
    counter_add(&io->stats.syscalls, 1);
    ssize_t n = ready_recv(s->fd, bytes, io->bufs.size);
    int err = n < 0 ? errno : 0;
    if (n > 0) {
        counter_add(&io->stats.cqes, 1);
        io->lease = bytes;
        io_complete(io, &s->recv, (int)n, true);
        io->lease = NULL;
    }
    buf_put(&io->bufs, (uint32_t)id);
    if (n > 0) return (uint32_t)n == io->bufs.size;
    if (err != EAGAIN && err != EINTR) io_complete(io, &s->recv, -err, false);
    return false;
}

static bool receives(const struct io_sock *s)
{
    return s->recv.kind == IO_RECV && !s->recv.cancelling;
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

static void sock_ready(struct io *io, struct io_sock *s, short events)
{
    if ((events & ~(POLLIN | POLLRDHUP)) && waits_to_send(s)) ready_send(io, s->sending);
    if (s->recv.kind == IO_WATCH) {
        watch_ready(io, s, events);
        return;
    }
    for (int share = RECV_SHARE; share > 0 && receives(s) && recv_once(io, s);) share--;
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
    if (receives(s)) return events | POLLIN;
    if (s->recv.kind == IO_WATCH && !s->recv.cancelling)
        return events | (s->recv.res ? POLLRDHUP : 0); /* errors are told unasked */
    return events ? events : -1;
}

/* ---- accept ---- */

static void threads_accept(struct io *io, struct io_accept *a)
{
    struct entrance *e = calloc(1, sizeof *e);
    int err = e ? 0 : -ENOMEM;
    if (e && io->config.one_connection) err = door_open(&e->place, io, a->listener);
    if (err < 0) {
        free(e);
        ready_finish(io, &a->op, err);
        return;
    }
    e->accept = a;
    list_push(&threads_of(io)->entrances, &e->link);
}

static void close_entrance(struct io *io, struct entrance *e)
{
    if (io->config.one_connection) door_close(&e->place);
    list_unlink(&e->link);
    free(e);
}

/* Whether this thread waits for the listener now. */
static bool attends(struct io *io, struct entrance *e)
{
    if (!io->config.one_connection) return true;
    if (threads_of(io)->n_accepted > 0) {
        door_leave(&e->place);
        return false;
    }
    door_wait(&e->place);
    return door_leads(&e->place);
}

static void entrance_ready(struct io *io, struct entrance *e)
{
    struct io_accept *a = e->accept;
    bool one = io->config.one_connection;
    for (int share = one ? 1 : ACCEPT_SHARE; share > 0 && !a->op.cancelling; share--) {
        if (one && threads_of(io)->n_accepted > 0) return; /* from another listener */
        counter_add(&io->stats.syscalls, 1);
        int fd = accept4(a->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            counter_add(&io->stats.cqes, 1);
            threads_of(io)->n_accepted++;
            io_complete(io, &a->op, fd, true);
            continue;
        }
        if (errno == EAGAIN) return;
        if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
        int err = errno;
        close_entrance(io, e);
        io_complete(io, &a->op, -err, false);
        return;
    }
}

static void cancel_accept(struct io *io, struct io_accept *a)
{
    struct threads *t = threads_of(io);
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next) {
        struct entrance *e = container_of(l, struct entrance, link);
        if (e->accept != a) continue;
        close_entrance(io, e);
        break;
    }
    ready_finish(io, &a->op, -ECANCELED);
}

static void threads_discard(struct io *io, int fd)
{
    counter_add(&io->stats.syscalls, 1);
    threads_of(io)->n_accepted--;
    close(fd);
}

/* ---- operations with one completion ---- */

static void close_sock(struct io *io, struct io_call *c)
{
    struct io_sock *s = c->sock.sock;
    list_unlink(&s->queue);
    if (s->engine_bits & ACCEPTED) threads_of(io)->n_accepted--;
    counter_add(&io->stats.syscalls, 1);
    ready_finish(io, &c->op, close(s->fd) < 0 ? -errno : 0);
}

/* A file is always ready, for what it can be ready for; poll(2) would wait for anything else. */
static void start_poll(struct io *io, struct io_call *c)
{
    struct stat st;
    if (!ready_poll(io, c)) return;
    bool common = c->poll.events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    if (!common && fstat(c->poll.watched, &st) == 0 &&
        (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
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
    case IO_WATCH:
    case IO_SEND: ready_finish(io, op, -ECANCELED); break;
    case IO_ACCEPT: cancel_accept(io, container_of(op, struct io_accept, op)); break;
    case IO_POLL:
    case IO_CONNECT: cancel_call(io, container_of(op, struct io_call, op)); break;
    default: break; /* the others complete synchronously */
    }
}

/* ---- the turn ---- */

static void add(struct io *io, int fd, int events, void *ptr, int kind)
{
    int err = poll_set_add(&threads_of(io)->polled, fd, events, ptr, kind);
    if (UNLIKELY(err < 0)) io->error = err;
}

static void gather(struct io *io)
{
    struct threads *t = threads_of(io);
    t->polled.n = 0;
    add(io, io->wake_fd, POLLIN, NULL, OF_WAKE);
    for (struct list *l = t->socks.next, *next; l != &t->socks; l = next) {
        struct io_sock *s = container_of(l, struct io_sock, queue);
        int events = interest(s);
        next = l->next;
        if (events < 0)
            list_unlink(l);
        else
            add(io, s->fd, events, s, OF_SOCK);
    }
    for (struct fifo_node *n = t->calls.head; n; n = n->next) {
        struct io_call *c = container_of(container_of(n, struct io_op, done), struct io_call, op);
        bool poll = c->op.kind == IO_POLL;
        add(io, poll ? c->poll.watched : c->connect.fd, poll ? c->poll.events : POLLOUT, c,
            OF_CALL);
    }
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next) {
        struct entrance *e = container_of(l, struct entrance, link);
        if (attends(io, e)) add(io, e->accept->listener, POLLIN, e, OF_ENTRANCE);
    }
}

static void drain_wake(struct io *io)
{
    uint64_t count;
    counter_add(&io->stats.syscalls, 1);
    ssize_t n = read(io->wake_fd, &count, sizeof count);
    (void)n; /* EAGAIN: nobody has woken it since */
    io_woken(io);
}

static bool is_entrance(struct threads *t, const struct entrance *e)
{
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next)
        if (l == &e->link) return true;
    return false;
}

/* What a callback closes or cancels is freed by its completion, later in the turn, so all that was
 * polled is still there, but for an accept stream. */
static void dispatch(struct io *io, const struct poll_target *target, short events)
{
    switch (target->kind) {
    case OF_WAKE: drain_wake(io); break;
    case OF_SOCK: sock_ready(io, target->ptr, events); break;
    case OF_CALL: call_ready(io, target->ptr, events); break;
    case OF_ENTRANCE:
        if (is_entrance(threads_of(io), target->ptr)) entrance_ready(io, target->ptr);
        break;
    }
}

/* Whether something other than a connection runs next, for who knows how long. */
static bool has_work(const struct io *io)
{
    return io->tasks.head || io->done.head || io->posts || wheel_next(&io->wheel) <= io->now;
}

static void leave_doors(struct io *io)
{
    struct threads *t = threads_of(io);
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next)
        door_leave(&container_of(l, struct entrance, link)->place);
}

static void threads_wait(struct io *io, uint64_t timeout_ns)
{
    struct poll_set *p = &threads_of(io)->polled;
    gather(io);
    if (UNLIKELY(io->error)) return;
    counter_add(&io->stats.enters, 1);
    counter_add(&io->stats.syscalls, 1);
    int n = poll_set_wait(p, timeout_ns);
    if (UNLIKELY(n < 0 && n != -EINTR)) io->error = n;
    io_waited(io);
    for (uint32_t i = 0; n > 0 && i < p->n; i++) {
        if (!p->fds[i].revents) continue;
        n--;
        dispatch(io, &p->targets[i], p->fds[i].revents);
    }
    if (io->config.one_connection && has_work(io)) leave_doors(io);
}

static int threads_sock_open(struct io *io, struct io_sock *s, bool accepted)
{
    (void)io;
    s->engine_bits = accepted ? ACCEPTED : 0;
    return accepted ? 0 : sock_set_nonblock(s->fd);
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
    if (!t) return -ENOMEM;
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
    .wait_call = "ppoll",
    .probe = ready_probe,
    .open = threads_open,
    .close = threads_close,
    .wait = threads_wait,
    .accept = threads_accept,
    .recv = threads_recv,
    .watch = threads_recv,
    .send = threads_send,
    .call = threads_call,
    .cancel = threads_cancel,
    .sock_open = threads_sock_open,
    .descriptor = threads_descriptor,
    .discard = threads_discard,
};
