#include "http/conn.h"

#include "base/counter.h"
#include "base/probe.h"
#include "http/events.h"
#include "http/visitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct conn) <= 320, "an idle connection is five cache lines");

/* ---- input ---- */

/* Keeps c->unread, and `more` after it, beyond the lease; false without memory. */
static bool spill(struct conn *c, slice more)
{
    size_t before = spill_cap(c->spill);
    bool kept = spill_keep(&c->spill, &c->unread, more);
    c->ctx->spilled += spill_cap(c->spill) - before;
    return kept;
}

static void free_spill(struct conn *c)
{
    c->ctx->spilled -= spill_cap(c->spill);
    free(c->spill);
    c->spill = NULL;
    c->unread = (slice){0};
}

/* Unread bytes at which receiving stops. A client that does not read its responses gets no further
 * than the bytes that have arrived. */
static size_t read_limit(const struct conn *c)
{
    return c->unsent.bytes >= c->ctx->begin_below || c->ctx->is_short ? 1
                                                                      : c->ctx->limits->read_buffer;
}

static void process_input(struct conn *c)
{
    struct stopwatch *code = &c->ctx->io->code;
    stopwatch_start(code);
    c->protocol->input(c);
    stopwatch_stop(code);
    c->resume = false;
    if (LIKELY(c->unread.len == 0)) {
        if (UNLIKELY(c->spill != NULL)) free_spill(c);
        c->want_recv = !(c->eof | c->direct);
    } else {
        /* TCP flow control slows a client that keeps sending while nobody reads. */
        c->want_recv = !c->eof && c->unread.len < read_limit(c);
    }
}

/* What should run on the socket: the recv stream; a receive for the protocol; or, while nothing is
 * received and a handler may wait, a watch, or nobody would notice that the client has gone. */
static enum io_kind wanted_recv(const struct conn *c)
{
    if (c->want_recv && !c->eof) return IO_RECV;
    if (c->direct && !c->eof && c->protocol->room(c).len) return IO_RECV_INTO;
    return c->exchange && c->state == CONN_OPEN ? IO_WATCH : IO_NONE;
}

static void start_direct(struct conn *c)
{
    slice room = c->protocol->room(c);
    /* The protocol's own memory, which a slice does not say. */
    io_recv_into(c->ctx->io, &c->sock, (void *)(uintptr_t)room.ptr, (uint32_t)room.len);
}

/* What is cancelled may still be in flight; its completion schedules the connection. */
__attribute__((noinline)) static void change_recv(struct conn *c)
{
    enum io_kind now = (enum io_kind)c->sock.recv.kind, want = wanted_recv(c);
    if (now == want) return;
    if (now != IO_NONE)
        io_cancel(c->ctx->io, &c->sock.recv);
    else if (want == IO_RECV)
        io_recv_start(c->ctx->io, &c->sock);
    else if (want == IO_RECV_INTO)
        start_direct(c);
    else
        io_watch_start(c->ctx->io, &c->sock, !c->eof && !c->ended);
}

static void update_recv(struct conn *c)
{
    if (UNLIKELY(!c->want_recv || c->sock.recv.kind != IO_RECV)) change_recv(c);
}

/* Without a look at the bytes, which may be many. */
static void discard(struct conn *c, size_t n)
{
    if (c->state != CONN_LINGER) return;
    c->discarded += (int64_t)n;
    c->read_deadline = c->ctx->io->now + LINGER_IDLE;
    if (c->discarded > LINGER_BYTES) conn_abort(c, -ECANCELED);
}

static void on_bytes(struct conn *c, slice bytes)
{
    if (c->state != CONN_OPEN || c->close_after_response) {
        discard(c, bytes.len);
        return;
    }
    bool was_spilled = c->unread.len > 0;
    if (!was_spilled)
        c->unread = bytes;
    else if (!spill(c, bytes))
        goto out_of_memory;
    process_input(c);
    if (was_spilled || c->unread.len == 0 || spill(c, (slice){0})) return;
out_of_memory:
    conn_abort(c, -ENOMEM);
}

static void on_eof(struct conn *c)
{
    c->eof = true;
    if (c->state == CONN_OPEN)
        process_input(c);
    else if (c->state == CONN_LINGER)
        conn_abort(c, -ECANCELED);
}

/* What runs in place of the recv stream has completed, or the stream itself. */
__attribute__((noinline)) static void on_recv_end(struct conn *c, int res)
{
    if (c->direct) {
        struct stopwatch *code = &c->ctx->io->code;
        stopwatch_start(code);
        c->protocol->received(c, res);
        stopwatch_stop(code);
    }
    if (res > 0 || res == -ECANCELED) return;
    if (res == 0) {
        on_eof(c);
    } else if (res == -ESHUTDOWN) {
        c->ended = true;
    } else {
        c->eof = true;
        conn_abort(c, http_note_failure(c->ctx, c->state == CONN_OPEN, "receive from", res)
                          ? -EIO
                          : -ECONNRESET);
    }
}

static void on_recv(struct io *io, struct io_op *op, int res, bool more)
{
    struct conn *c = container_of(container_of(op, struct io_sock, recv), struct conn, sock);
    if (LIKELY(more)) {
        on_bytes(c, slice_of(io->lease, (size_t)res));
        if (!c->want_recv && c->state == CONN_OPEN)
            update_recv(c); /* now: more may be on its way */
    } else {
        on_recv_end(c, res);
    }
    conn_schedule(c);
}

/* ---- output ---- */

/* In the record of its last request, unless that waited, or is overwritten. */
static inline void record_sent(struct conn *c)
{
    if (LIKELY(c->recorded->word[WORD_CONN] == (uintptr_t)c))
        record_set(c->recorded, WORD_SENT, ticks_now());
    else
        event_of_conn(&c->ctx->recorder, EVENT_ALL_SENT, c);
}

__attribute__((always_inline)) static inline void take_sent(struct io_op *op, int res,
                                                            bool recorded)
{
    struct io_send *s = container_of(op, struct io_send, op);
    struct conn *c = container_of(s->sock, struct conn, sock);
    if (UNLIKELY(res < 0)) {
        conn_send_failed(c, res);
        return;
    }
    PROBE(sent, c, res);
    counter_add(&c->ctx->stats.bytes_out, (uint64_t)res);
    c->unacked += res;
    bool all = send_queue_sent(&c->unsent, (size_t)res);
    if (recorded && LIKELY(all)) record_sent(c);
    if (UNLIKELY(c->awaits_sent || c->timed)) conn_send_went_on(c);
    c->write_deadline = WHEEL_NEVER;
    if (c->unsent.bytes || c->close_after_response || c->unread.len || c->state != CONN_OPEN)
        conn_schedule(c);
}

void conn_on_sent(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io, (void)more;
    take_sent(op, res, false);
}

void conn_on_sent_recorded(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io, (void)more;
    take_sent(op, res, true);
}

static void flush(struct conn *c)
{
    if (!c->unsent.bytes || c->sock.sending || c->corked) return;
    c->write_deadline = c->ctx->io->now + c->ctx->probe_pause;
    send_queue_send(&c->unsent, c->ctx->io, &c->sock, c->ctx->on_sent);
}

/* ---- deadlines ---- */

static uint64_t next_deadline(const struct conn *c)
{
    return c->read_deadline < c->write_deadline ? c->read_deadline : c->write_deadline;
}

/* A timer that fires before the current deadline is set again then, so postponing is cheap. */
static void arm(struct conn *c)
{
    uint64_t next = next_deadline(c);
    if (next != WHEEL_NEVER) wheel_set(&c->ctx->io->wheel, &c->timer, next);
}

static void on_timer(struct wheel_timer *t)
{
    struct conn *c = container_of(t, struct conn, timer);
    uint64_t now = c->ctx->io->now;
    if (c->state == CONN_LINGER) {
        if (c->read_deadline <= now && io_is_behind(c->ctx->io))
            c->read_deadline = c->ctx->io->behind_until; /* it may not have been silent */
        if (next_deadline(c) <= now) conn_abort(c, -ETIMEDOUT);
    } else if (c->read_deadline <= now && c->write_deadline > now) {
        c->read_deadline = WHEEL_NEVER;
        if (c->state == CONN_OPEN) c->protocol->timeout(c);
    } else if (c->state == CONN_OPEN && c->sock.sending) {
        conn_probe(c); /* perhaps before its deadline: the timer is of an earlier send */
    } else {
        c->timed = false;
    }
    conn_schedule(c);
}

/* ---- the end ---- */

static void on_closed(struct io *io, struct io_op *op, int res, bool more)
{
    struct conn *c = conn_of_call(op);
    (void)io, (void)res, (void)more;
    c->state = CONN_CLOSED;
    conn_schedule(c); /* the task may be queued already, so the task frees the connection */
}

/* Not inlined; otherwise the end of each turn would pay for registers saved for it. */
__attribute__((noinline)) static void conn_free(struct conn *c)
{
    struct http_context *ctx = c->ctx;
    bool evicted = c->evicted;
    if (c->visitor) visitor_end(ctx, c->visitor);
    if (ctx->recorder.records) event_of_conn(&ctx->recorder, EVENT_CLOSED, c);
    if (c->refused) http_forget_refused(c);
    list_unlink(&c->link);
    ctx->n_open--;
    counter_add(&ctx->stats.closed, 1);
    slab_put(&ctx->conns, c);
    if (ctx->on_close) ctx->on_close(ctx, evicted);
}

static void continue_close(struct conn *c)
{
    struct io *io = c->ctx->io;
    /* It may wait for a worker of the ring, and they for a disk. The close does the same. */
    if (c->call.op.kind == IO_SHUTDOWN) io_cancel(io, &c->call.op);
    if (io_busy(&c->call.op)) return;
    io_cancel(io, &c->sock.recv);
    if (c->sock.sending) io_cancel(io, &c->sock.sending->op);
    if (io_busy(&c->sock.recv) || send_queue_busy(&c->unsent)) return;
    if (!c->protocol->finish(c)) return; /* last: it counts the bytes that were sent */
    counter_add(&c->ctx->stats.lost, send_queue_responses(&c->unsent));
    wheel_clear(&io->wheel, &c->timer);
    send_queue_clear(&c->unsent);
    free_spill(c);
    conn_start_call(c, IO_CLOSE_SOCK, on_closed);
}

static void on_shutdown(struct io *io, struct io_op *op, int res, bool more)
{
    (void)io, (void)res, (void)more;
    conn_schedule(conn_of_call(op));
}

/* Every response has been sent. */
static void linger_or_close(struct conn *c)
{
    free_spill(c);
    if (!c->linger || c->eof) {
        c->state = CONN_CLOSING;
        return;
    }
    c->state = CONN_LINGER;
    c->want_recv = true;
    c->discarded = 0;
    c->read_deadline =
        c->ctx->io->now + (c->brief ? http_first_wait(c->ctx->limits) / 8 : LINGER_IDLE);
    c->write_deadline = c->ctx->io->now + LINGER_TIME;
    conn_start_call(c, IO_SHUTDOWN, on_shutdown);
}

/* ---- the end of the turn ---- */

static bool all_sent(const struct conn *c)
{
    return !c->exchange && !c->unsent.bytes && !c->sock.sending && !io_busy(&c->call.op);
}

static void end_of_turn(struct io_task *t)
{
    struct conn *c = container_of(t, struct conn, task);
    if (c->state == CONN_OPEN && (c->resume || c->unread.len || !c->want_recv)) process_input(c);
    if (c->state == CONN_OPEN) {
        flush(c);
        if (c->close_after_response && all_sent(c)) linger_or_close(c);
    }
    if (c->state == CONN_CLOSED) {
        conn_free(c);
        return;
    }
    if (c->state == CONN_CLOSING) {
        continue_close(c);
        return;
    }
    update_recv(c);
    arm(c);
}

/* ---- the beginning ---- */

struct conn *conn_open(struct http_context *ctx, int fd, const struct protocol *protocol)
{
    struct conn *c = slab_get(&ctx->conns);
    if (!c) {
        io_discard(ctx->io, fd);
        return NULL;
    }
    *c = (struct conn){.ctx = ctx,
                       .protocol = protocol,
                       .task = {.fn = end_of_turn},
                       .read_deadline = ctx->io->now + ctx->limits->header_timeout,
                       .write_deadline = WHEEL_NEVER,
                       .want_recv = true,
                       .recorded = ctx->not_recorded};
    wheel_timer_init(&c->timer, on_timer);
    list_init(&c->link);
    list_push(&ctx->open, &c->link);
    ctx->n_open++;
    counter_add(&ctx->stats.accepted, 1);
    int err = io_sock_init(ctx->io, &c->sock, fd, true, on_recv);
    if (UNLIKELY(err < 0)) {
        http_warn(ctx, WARN_SOCKET, "cannot wait for a client: %s%s; connection closed",
                  strerror(-err), err == -ENOSPC ? " (raise fs.epoll.max_user_watches)" : "");
        conn_abort(c, -ECANCELED);
        return NULL;
    }
    update_recv(c);
    arm(c);
    return c;
}
