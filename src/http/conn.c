#include "http/conn.h"

#include "base/counter.h"
#include "http/h1.h"

#include <errno.h>
#include <stdlib.h>

enum { LINGER_SECONDS = 2 };

static_assert(sizeof(struct conn) <= 320, "an idle connection is five cache lines");

#define DRAIN_PATIENCE (NS_PER_S / 2)

/* ---- input ---- */

/* Keeps c->in, and `more` behind it, beyond the lease of its buffer; false without memory. */
static bool spill(struct conn *c, slice more)
{
    struct conn_spill *s = c->spill;
    size_t need = c->in.len + more.len;
    if (!s || need > s->cap) {
        size_t cap = s ? s->cap : 1024;
        while (cap < need) cap *= 2;
        s = malloc(sizeof *s + cap);
        if (!s) return false;
        s->cap = cap;
        if (c->in.len) memcpy(s->bytes, c->in.ptr, c->in.len);
        free(c->spill);
        c->spill = s;
    } else if (c->in.len) {
        memmove(s->bytes, c->in.ptr, c->in.len);
    }
    if (more.len) memcpy(s->bytes + c->in.len, more.ptr, more.len);
    c->in = slice_of(s->bytes, need);
    return true;
}

static void free_spill(struct conn *c)
{
    free(c->spill);
    c->spill = NULL;
    c->in = (slice){0};
}

static void run_input(struct conn *c)
{
    h1_input(c);
    if (c->in.len == 0 && c->spill) free_spill(c);
    /* A client that sends on while nobody reads is held back by TCP, not by our memory. */
    c->want_recv = c->state == CONN_LINGER ||
                   (!c->eof && (c->in.len < c->core->limits->read_buffer || c->reader));
}

static void on_bytes(struct conn *c, slice bytes)
{
    if (c->state != CONN_OPEN || c->last) return;
    bool kept = c->in.len > 0;
    if (!kept)
        c->in = bytes;
    else if (!spill(c, bytes))
        goto out_of_memory;
    run_input(c);
    if (kept || c->in.len == 0 || spill(c, (slice){0})) return;
out_of_memory:
    conn_abort(c, -ENOMEM);
}

static void on_recv(struct io *io, struct io_op *op, int res, bool more)
{
    struct conn *c = container_of(container_of(op, struct io_sock, recv), struct conn, sock);
    if (res > 0) {
        on_bytes(c, slice_of(io->lease, (size_t)res));
    } else if (res == 0) {
        c->eof = true;
        if (c->state == CONN_OPEN)
            run_input(c);
        else if (c->state == CONN_LINGER)
            conn_abort(c, -ECANCELED);
    } else if (res != -ECANCELED) {
        c->eof = true;
        if (c->state == CONN_OPEN) counter_add(&c->core->stats.resets, 1);
        conn_abort(c, -ECANCELED);
    }
    (void)more;
    conn_schedule(c);
}

/* The recv stream follows want_recv; it may be on its way to an end that it was asked for. */
static void steer_recv(struct conn *c)
{
    if (c->eof) return;
    bool running = io_busy(&c->sock.recv);
    if (c->want_recv && !running)
        io_recv_start(c->core->io, &c->sock);
    else if (!c->want_recv && running)
        io_cancel(c->core->io, &c->sock.recv);
}

/* ---- output ---- */

static void wake_writer(struct conn *c, int result)
{
    struct conn_writer *w = c->writer;
    c->writer = NULL;
    wait_wake(&w->wait, result);
}

static void writer_cancel(struct wait *wait)
{
    struct conn_writer *w = container_of(wait, struct conn_writer, wait);
    struct conn *c = container_of(wait->scope, struct torc_req, scope)->conn;
    if (w->lent && c->sock.sending)
        io_cancel(c->core->io, &c->sock.sending->op); /* on_sent wakes it */
    else
        wake_writer(c, wait->scope->cancelled);
}

int conn_wait_sent(struct conn *c, size_t below, bool lent)
{
    struct conn_writer w = {.below = below, .lent = lent};
    if (c->writer) return -EBUSY;
    c->writer = &w;
    return wait_park(&c->rq->scope, &w.wait, writer_cancel);
}

static void on_sent(struct io *io, struct io_op *op, int res, bool more)
{
    struct io_send *s = container_of(op, struct io_send, op);
    struct conn *c = container_of(s->sock, struct conn, sock);
    (void)io, (void)more;
    c->write_deadline = WHEEL_NEVER;
    if (res < 0) {
        if (c->state == CONN_OPEN && res != -ECANCELED && res != -EFAULT)
            counter_add(&c->core->stats.resets, 1);
        conn_abort(c, res == -EFAULT ? -EIO : -ECANCELED);
        if (c->writer) wake_writer(c, c->rq->scope.cancelled);
        conn_schedule(c);
        return;
    }
    counter_add(&c->core->stats.bytes_out, (uint64_t)res);
    c->given += res;
    send_queue_sent(&c->out, (size_t)res);
    if (c->writer && (c->out.bytes < c->writer->below || c->rq->scope.cancelled))
        wake_writer(c, c->rq->scope.cancelled);
    if (c->out.bytes || c->last || c->in.len || c->state != CONN_OPEN) conn_schedule(c);
}

static void flush(struct conn *c)
{
    if (!c->out.bytes || c->sock.sending || c->corked) return;
    c->write_deadline = c->core->io->now + c->core->limits->write_timeout;
    send_queue_send(&c->out, c->core->io, &c->sock, on_sent);
}

/* ---- deadlines ---- */

static uint64_t next_deadline(const struct conn *c)
{
    return c->read_deadline < c->write_deadline ? c->read_deadline : c->write_deadline;
}

/* A send may take long because the client is slow, which is no reason to give it up as long as it
 * takes bytes at all. Where the socket cannot be asked, those that it took from us must do. */
static void on_unacked(struct io *io, struct io_op *op, int res, bool more)
{
    struct conn *c = container_of(container_of(op, struct io_call, op), struct conn, call);
    (void)more;
    if (c->state == CONN_OPEN && c->sock.sending && c->write_deadline == WHEEL_NEVER) {
        int64_t part = io_sent_so_far(c->sock.sending), unacked = res > 0 ? res : 0;
        if (unacked < c->given + part) {
            c->given = unacked - part;
            c->write_deadline = io->now + c->core->limits->write_timeout;
        } else {
            counter_add(&c->core->stats.timeouts[TIMEOUT_WRITE], 1);
            conn_abort(c, -ETIMEDOUT);
        }
    }
    conn_schedule(c);
}

static void ask_unacked(struct conn *c)
{
    c->write_deadline = WHEEL_NEVER;
    c->call.op.fn = on_unacked;
    c->call.sock.sock = &c->sock;
    io_call_start(c->core->io, &c->call, IO_UNACKED);
}

/* A timer that comes up before its deadline is set again then: pushing one out costs nothing. */
static void arm(struct conn *c)
{
    uint64_t next = next_deadline(c);
    if (next != WHEEL_NEVER) wheel_set(&c->core->io->wheel, &c->timer, next);
}

static void on_timer(struct wheel_timer *t)
{
    struct conn *c = container_of(t, struct conn, timer);
    uint64_t now = c->core->io->now;
    if (c->write_deadline <= now) {
        if (!io_busy(&c->call.op)) ask_unacked(c);
    } else if (c->read_deadline <= now) {
        c->read_deadline = WHEEL_NEVER;
        if (c->state == CONN_OPEN)
            h1_timeout(c);
        else
            conn_abort(c, -ETIMEDOUT);
    }
    conn_schedule(c);
}

/* ---- the end ---- */

static void on_closed(struct io *io, struct io_op *op, int res, bool more)
{
    struct conn *c = container_of(container_of(op, struct io_call, op), struct conn, call);
    (void)io, (void)res, (void)more;
    c->state = CONN_CLOSED;
    conn_schedule(c); /* the task may be queued already, so it is the one that frees */
}

static void release(struct conn *c)
{
    struct http_context *core = c->core;
    free(c->peer);
    list_unlink(&c->link);
    core->n_open--;
    counter_add(&core->stats.closed, 1);
    slab_put(&core->conns, c);
    if (core->on_close) core->on_close(core);
}

static void close_step(struct conn *c)
{
    struct io *io = c->core->io;
    if (c->rq && c->rq->parked && !c->rq->returned) return;
    if (c->rq) h1_drop(c);
    io_cancel(io, &c->sock.recv);
    if (c->sock.sending) io_cancel(io, &c->sock.sending->op);
    if (io_busy(&c->sock.recv) || send_queue_busy(&c->out) || io_busy(&c->call.op)) return;
    wheel_clear(&io->wheel, &c->timer);
    send_queue_clear(&c->out);
    free_spill(c);
    c->call.op.fn = on_closed;
    c->call.sock.sock = &c->sock;
    io_call_start(io, &c->call, IO_CLOSE_SOCK);
}

static void on_shutdown(struct io *io, struct io_op *op, int res, bool more)
{
    struct conn *c = container_of(container_of(op, struct io_call, op), struct conn, call);
    (void)io, (void)res, (void)more;
    conn_schedule(c);
}

/* All that was to be said has been said. */
static void end(struct conn *c)
{
    free_spill(c);
    if (!c->linger || c->eof) {
        c->state = CONN_CLOSING;
        return;
    }
    c->state = CONN_LINGER;
    c->want_recv = true;
    c->read_deadline = c->core->io->now + LINGER_SECONDS * NS_PER_S;
    c->call.op.fn = on_shutdown;
    c->call.sock.sock = &c->sock;
    io_call_start(c->core->io, &c->call, IO_SHUTDOWN);
}

void conn_abort(struct conn *c, int err)
{
    if (c->state >= CONN_CLOSING) return;
    c->state = CONN_CLOSING;
    c->in = (slice){0};
    if (c->rq) scope_cancel(&c->rq->scope, err);
    conn_schedule(c);
}

/* ---- the end of the turn ---- */

static void run_task(struct io_task *t)
{
    struct conn *c = container_of(t, struct conn, task);
    if (c->state == CONN_OPEN) {
        if (c->rq && c->rq->returned && !c->discarding) h1_finish(c);
        if (c->in.len || !c->want_recv) run_input(c);
    }
    if (c->state == CONN_OPEN) {
        flush(c);
        if (c->last && !c->rq && !c->out.bytes && !c->sock.sending && !io_busy(&c->call.op)) end(c);
    }
    if (c->state == CONN_CLOSED) {
        release(c);
        return;
    }
    if (c->state == CONN_CLOSING) {
        if (!io_busy(&c->call.op)) close_step(c);
        return;
    }
    steer_recv(c);
    arm(c);
}

/* ---- the beginning ---- */

void conn_open(struct http_context *core, int fd)
{
    struct conn *c = slab_get(&core->conns);
    if (!c) {
        io_discard(core->io, fd);
        return;
    }
    *c = (struct conn){.core = core,
                       .task = {.fn = run_task},
                       .read_deadline = core->io->now + core->limits->idle_timeout,
                       .write_deadline = WHEEL_NEVER,
                       .want_recv = true};
    wheel_timer_init(&c->timer, on_timer);
    list_init(&c->link);
    list_push(&core->open, &c->link);
    core->n_open++;
    counter_add(&core->stats.accepted, 1);
    if (io_sock_init(core->io, &c->sock, fd, true, on_recv) < 0) {
        conn_abort(c, -ECANCELED);
        return;
    }
    if (core->want_peer) c->peer = io_peer(core->io, &c->sock);
    io_recv_start(core->io, &c->sock);
    arm(c);
}

static void drain(struct conn *c)
{
    if (c->state != CONN_OPEN) return;
    /* A head that is not complete, or a body that nobody wants, is no request to wait for; but the
     * rest may be on its way. */
    if (c->discarding || (c->rq && c->rq->parser.state == PARSE_HEAD)) {
        uint64_t soon = c->core->io->now + DRAIN_PATIENCE;
        if (c->read_deadline > soon) c->read_deadline = soon;
        conn_schedule(c);
        return;
    }
    if (c->rq || c->in.len) return;
    if (c->out.bytes)
        c->last = true; /* it ends when that has left */
    else
        conn_abort(c, -ECANCELED);
}

void conn_drain_all(struct http_context *core)
{
    core->draining = true;
    for (struct list *l = core->open.next; l != &core->open; l = l->next)
        drain(container_of(l, struct conn, link));
}

void conn_abort_all(struct http_context *core)
{
    for (struct list *l = core->open.next; l != &core->open; l = l->next)
        conn_abort(container_of(l, struct conn, link), -ECANCELED);
}
