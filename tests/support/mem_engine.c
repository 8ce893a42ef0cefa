#include "mem_state.h"

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELD_UP_MAX (5 * NS_PER_S)

/* engine_bits of an operation */
enum { DONE = 1 /* its final completion is queued */ };

static struct mem_client *mem_client_of(struct io *io, const struct io_sock *s)
{
    return mem_of(io)->client[s->fd];
}

static void mem_finish(struct io *io, struct io_op *op, int res)
{
    op->engine_bits |= DONE;
    io_complete_later(io, op, res);
}

/* ---- send ---- */

static void mem_keep_out(struct mem_client *m, const char *bytes, size_t n)
{
    if (m->drop_out) return;
    if (m->out_len + n > m->out_cap) {
        m->out_cap = (m->out_len + n) * 2;
        m->out = realloc(m->out, m->out_cap);
        ASSERT(m->out);
    }
    memcpy(m->out + m->out_len, bytes, n);
    m->out_len += n;
}

static void mem_send_finish(struct io *io, struct io_send *s, int res)
{
    s->sock->sending = NULL;
    mem_finish(io, &s->op, res);
}

/* Sends at most `room` bytes; true if any were sent or the send completed. */
static bool mem_run_send(struct io *io, struct io_send *s, size_t room)
{
    struct mem_client *m = mem_client_of(io, s->sock);
    if (m->reset || m->shut) {
        mem_send_finish(io, s, m->shut ? -EPIPE : -ECONNRESET);
        return true;
    }
    if (room == 0) return false;
    while (s->at < s->count) {
        struct iovec *v = &s->iov[s->at];
        size_t n = v->iov_len < room ? v->iov_len : room;
        mem_keep_out(m, v->iov_base, n);
        s->op.res += (int)n;
        room -= n;
        v->iov_base = (char *)v->iov_base + n;
        v->iov_len -= n;
        if (v->iov_len > 0) return true;
        s->at++;
    }
    mem_send_finish(io, s, s->op.res);
    return true;
}

static bool mem_at_once(struct io *io, const struct mem_client *m)
{
    const struct mem_config *c = &mem_of(io)->config;
    return !c->late && !c->pace && !m->windowed;
}

static void mem_send(struct io *io, struct io_send *s)
{
    if (mem_at_once(io, mem_client_of(io, s->sock))) mem_run_send(io, s, SIZE_MAX);
}

static bool mem_turn_send(struct io *io, struct mem_client *m)
{
    size_t pace = mem_of(io)->config.pace;
    if (!m->sock || !m->sock->sending) return false;
    return mem_run_send(io, m->sock->sending, m->windowed ? m->window : pace ? pace : SIZE_MAX);
}

/* ---- recv ---- */

static void mem_recv(struct io *io, struct io_sock *s)
{
    (void)io, (void)s; /* mem_wait finds active streams */
}

static void mem_watch(struct io *io, struct io_sock *s)
{
    (void)io, (void)s; /* mem_wait finds it */
}

static bool mem_turn_watch(struct io *io, struct mem_client *m)
{
    struct io_op *op = m->sock ? &m->sock->recv : NULL;
    if (!op || op->kind != IO_WATCH || (op->engine_bits & DONE)) return false;
    if (!m->reset && !(m->end && op->res)) return false;
    io_complete(io, op, m->reset ? -ECONNRESET : -ESHUTDOWN, false);
    return true;
}

static bool mem_recv_runs(const struct mem_client *m)
{
    return m->sock && m->sock->recv.kind == IO_RECV && !m->sock->recv.cancelling;
}

static void mem_deliver(struct io *io, struct mem_client *m, const char *bytes, size_t n)
{
    io->lease = bytes;
    counter_add(&io->stats.cqes, 1);
    io_complete(io, &m->sock->recv, (int)n, true);
    io->lease = NULL;
}

/* Delivers the first piece, or as much of it as a receive buffer holds. */
static void mem_deliver_piece(struct io *io, struct mem_client *m)
{
    struct piece *p = m->first;
    if (p->borrowed) {
        m->waiting -= p->len;
        mem_deliver(io, m, p->bytes, p->len);
        if (--p->times == 0) mem_free_piece(m);
        return;
    }
    size_t n = p->len < io->bufs.size ? p->len : io->bufs.size;
    char *lease = malloc(n);
    ASSERT(lease);
    memcpy(lease, p->bytes, n);
    p->bytes += n;
    p->len -= n;
    m->waiting -= n;
    if (p->len == 0) mem_free_piece(m);
    mem_deliver(io, m, lease, n);
    free(lease);
}

/* Likewise into memory of the caller. */
static bool mem_turn_recv_into(struct io *io, struct mem_client *m)
{
    struct io_op *op = m->sock ? &m->sock->recv : NULL;
    struct piece *p = m->first;
    if (!op || op->kind != IO_RECV_INTO || op->cancelling) return false;
    if (!m->reset && !p && !m->end) return false;
    size_t n = m->reset || !p ? 0 : p->len < (size_t)op->res ? p->len : (size_t)op->res;
    if (n > 0) {
        ASSERT(!p->borrowed);
        memcpy(op->into, p->bytes, n);
        p->bytes += n;
        p->len -= n;
        m->waiting -= n;
        if (p->len == 0) mem_free_piece(m);
    }
    io_complete(io, op, m->reset ? -ECONNRESET : (int)n, false);
    return true;
}

static bool mem_turn_recv(struct io *io, struct mem_client *m)
{
    uint32_t share = mem_of(io)->config.share;
    bool any = false;
    for (uint32_t i = 0; mem_recv_runs(m) && (share == 0 || i < share); i++) {
        if (m->reset) {
            io_complete(io, &m->sock->recv, -ECONNRESET, false);
            return true;
        }
        if (m->first) {
            mem_deliver_piece(io, m);
        } else if (m->end) {
            io_complete(io, &m->sock->recv, 0, false);
        } else {
            break;
        }
        any = true;
    }
    return any;
}

/* ---- accept ---- */

static void mem_accept(struct io *io, struct io_accept *a)
{
    ASSERT(!mem_of(io)->accept);
    mem_of(io)->accept = a;
}

static bool mem_turn_accept(struct io *io, uint32_t fd)
{
    struct mem *mem = mem_of(io);
    struct mem_client *m = mem->client[fd];
    if (m->accepted || !mem->accept || mem->accept->op.cancelling) return false;
    m->accepted = true;
    io_complete(io, &mem->accept->op, (int)fd, true);
    return true;
}

static int mem_sock_open(struct io *io, struct io_sock *s, bool accepted)
{
    if (!accepted) return -EINVAL;
    mem_client_of(io, s)->sock = s;
    return 0;
}

static int mem_descriptor(const struct io_sock *s)
{
    (void)s;
    return -1;
}

static void mem_discard(struct io *io, int fd)
{
    mem_of(io)->client[fd]->closed = true;
}

/* ---- calls ---- */

static int close_sock(struct io *io, struct io_sock *s)
{
    struct mem_client *m = mem_client_of(io, s);
    ASSERT(!io_busy(&s->recv) && !s->sending);
    m->closed = true;
    m->sock = NULL;
    return 0;
}

static int run_call(struct io *io, struct io_call *c)
{
    switch ((enum io_kind)c->op.kind) {
    case IO_SHUTDOWN: mem_client_of(io, c->sock.sock)->shut = true; return 0;
    case IO_UNACKED: return 0; /* the client acknowledges everything */
    case IO_CLOSE_SOCK: return close_sock(io, c->sock.sock);
    default: return file_call(io, c);
    }
}

static void mem_call(struct io *io, struct io_call *c)
{
    if (mem_of(io)->config.late)
        fifo_push(&mem_of(io)->late, &c->op.done);
    else
        mem_finish(io, &c->op, run_call(io, c));
}

static bool mem_turn_calls(struct io *io)
{
    struct fifo late = mem_of(io)->late;
    mem_of(io)->late = (struct fifo){0};
    bool any = late.head;
    for (struct fifo_node *n; (n = fifo_pop(&late));) {
        struct io_call *c = container_of(container_of(n, struct io_op, done), struct io_call, op);
        mem_finish(io, &c->op, c->op.cancelling ? -ECANCELED : run_call(io, c));
    }
    return any;
}

static void mem_cancel(struct io *io, struct io_op *op)
{
    if (op->engine_bits & DONE) return;
    switch ((enum io_kind)op->kind) {
    case IO_WATCH:
    case IO_RECV_INTO:
    case IO_RECV: mem_finish(io, op, -ECANCELED); break;
    case IO_SEND: mem_send_finish(io, container_of(op, struct io_send, op), -ECANCELED); break;
    case IO_ACCEPT:
        mem_of(io)->accept = NULL;
        mem_finish(io, op, -ECANCELED);
        break;
    default: break; /* completed, or about to be */
    }
}

/* ---- the turn ---- */

/* How far the real clock is ahead, by which a sleep is set, as where the machine has held up the
 * test; within the time in which no other deadline passes. */
static uint64_t held_up(const struct io *io)
{
    uint64_t real = clock_ns(), ahead = real > io->now ? real - io->now : 0;
    return ahead < HELD_UP_MAX ? ahead : HELD_UP_MAX;
}

static void mem_wait(struct io *io, uint64_t timeout_ns)
{
    struct mem *mem = mem_of(io);
    bool any = io->done.head || io->tasks.head;
    uint64_t next = wheel_next(&io->wheel);
    (void)timeout_ns; /* based on the real clock */
    any |= mem_turn_calls(io);
    for (uint32_t i = 0; i < mem->n_clients; i++) {
        struct mem_client *m = mem->client[i];
        if (!m) continue;
        any |= mem_turn_accept(io, i);
        any |= mem_turn_send(io, m);
        any |= mem_turn_recv(io, m);
        any |= mem_turn_recv_into(io, m);
        any |= mem_turn_watch(io, m);
    }
    if (any || next <= io->now) return;
    if (next != WHEEL_NEVER && next - io->now <= mem->config.patience + held_up(io))
        io->now = next;
    else
        mem->idle = true;
}

/* ---- open and close ---- */

static int mem_probe(struct io_config *config, char *why, size_t size)
{
    config->features = 0;
    if (size) why[0] = '\0';
    return 0;
}

static int mem_open(struct io *io, const struct io_config *config)
{
    struct mem *mem = calloc(1, sizeof *mem);
    (void)config;
    if (!mem) return -ENOMEM;
    mem->config.patience = NS_PER_S;
    io->state = mem;
    io->config.features = 0;
    return 0;
}

static void mem_close(struct io *io)
{
    struct mem *mem = mem_of(io);
    ASSERT(!mem->late.head && !mem->accept);
    for (uint32_t i = 0; i < mem->n_clients; i++) ASSERT(!mem->client[i]);
    free(mem->client);
    free(mem);
    io->state = NULL;
}

const struct io_engine mem_engine = {
    .name = "mem",
    .probe = mem_probe,
    .open = mem_open,
    .close = mem_close,
    .wait = mem_wait,
    .accept = mem_accept,
    .recv = mem_recv,
    .recv_into = mem_recv,
    .watch = mem_watch,
    .send = mem_send,
    .send_file = mem_send, /* from its mapping */
    .call = mem_call,
    .cancel = mem_cancel,
    .sock_open = mem_sock_open,
    .descriptor = mem_descriptor,
    .discard = mem_discard,
};
