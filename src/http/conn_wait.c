/* Fibers that wait until a connection's output is sent, and what becomes of a send that failed. */

#include "http/conn.h"

#include "base/counter.h"

#include <errno.h>

/* A fiber that waits for output to be sent; on its stack. */
struct conn_writer {
    struct wait wait;
    struct conn *conn;
    struct conn_writer *next; /* of the same connection; the first may be one that does not share */
    size_t below;             /* it resumes when fewer bytes are unsent */
    size_t *by_ref;
    bool unread; /* the kernel could not read what it was to send */
    bool shares; /* others may write, and wait, meanwhile */
};

static struct conn_writer *sole_writer(const struct conn *c)
{
    return c->writer && !c->writer->shares ? c->writer : NULL;
}

bool conn_is_written(const struct conn *c)
{
    return sole_writer(c) != NULL;
}

static void wake(struct conn_writer *w, int result)
{
    struct conn *c = w->conn;
    if (w->wait.woken) return;
    struct conn_writer **at = &c->writer;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    if (!c->writer) c->awaits_sent = false;
    wait_wake(&w->wait, result);
}

/* Bytes have left the output, sent or not: some that wait for room may have it. */
static void wake_shared(struct conn *c)
{
    for (struct conn_writer *w, *next = c->writer; (w = next);) {
        next = w->next;
        if (w->shares && c->unsent.bytes < w->below) wake(w, 0);
    }
}

void conn_took_back(struct conn *c)
{
    if (UNLIKELY(c->writer)) wake_shared(c);
}

/* What it has by reference it may free now: of that, what has not left never will. What is before
 * it still leaves. */
static void drop_ref(struct conn_writer *w)
{
    struct send_queue *q = &w->conn->unsent;
    if (!w->by_ref || *w->by_ref == 0) return;
    ASSERT(!send_queue_busy(q));
    *w->by_ref -= send_queue_take_back_most(q, *w->by_ref < q->bytes ? *w->by_ref : q->bytes);
}

/* Its output has been sent, or its scope was cancelled: then nothing leaves before it has resumed,
 * as it may take more of that back. */
static void wake_writer(struct conn_writer *w)
{
    int cancelled = w->wait.scope->cancelled;
    drop_ref(w);
    if (cancelled && !w->shares) w->conn->corked = true;
    wake(w, cancelled);
    wake_shared(w->conn);
}

static void writer_cancel(struct wait *wait)
{
    struct conn_writer *w = container_of(wait, struct conn_writer, wait);
    struct conn *c = w->conn;
    if (w->by_ref && send_queue_take_back(&c->unsent, *w->by_ref)) *w->by_ref = 0;
    if (w->by_ref && *w->by_ref && send_queue_busy(&c->unsent))
        io_cancel(c->ctx->io, &c->unsent.head->send.op); /* the end of that send wakes it */
    else
        wake_writer(w);
}

static int park(struct conn_writer *w, struct scope *scope)
{
    struct conn *c = w->conn;
    struct conn_writer *sole = sole_writer(c), **at = sole ? &sole->next : &c->writer;
    w->next = *at;
    *at = w;
    c->awaits_sent = true;
    return wait_park(scope, &w->wait, writer_cancel);
}

int conn_wait_sent(struct conn *c, struct scope *scope, size_t below, size_t *by_ref)
{
    struct conn_writer w = {
        .wait.what = "client to read", .conn = c, .below = below, .by_ref = by_ref};
    int refused = scope_refuses(scope);
    if (refused) return refused;
    if (sole_writer(c)) return -EBUSY;
    int err = park(&w, scope);
    if (c->corked) {
        c->corked = false;
        conn_schedule(c);
    }
    return w.unread && by_ref ? -EFAULT : err;
}

int conn_wait_room(struct conn *c, struct scope *scope, size_t below)
{
    struct conn_writer w = {
        .wait.what = "client to read", .conn = c, .below = below, .shares = true};
    int refused = scope_refuses(scope);
    return refused ? refused : park(&w, scope);
}

/* ---- sends ---- */

/* Its writer is told how many bytes cannot be sent as pages of their file. */
static bool give_back(struct conn *c)
{
    struct conn_writer *w = sole_writer(c);
    if (c->state != CONN_OPEN || !w || w->wait.scope->cancelled) return false;
    wake(w, (int)send_queue_drop_file(&c->unsent));
    wake_shared(c);
    return true;
}

static bool is_of_ref(int err)
{
    return err == -ECANCELED || err == -EOPNOTSUPP;
}

/* A send was cancelled for its writer, or could not read what that has by reference: the connection
 * goes on without it. */
static bool send_without_ref(struct conn *c, int err)
{
    struct conn_writer *w = sole_writer(c);
    if (c->state != CONN_OPEN || !w || !w->by_ref) return false;
    w->unread = err == -EFAULT;
    if (!w->unread && !(w->wait.scope->cancelled && is_of_ref(err))) return false;
    wake_writer(w);
    conn_schedule(c);
    return true;
}

/* Not inlined; otherwise every send would pay for registers saved for it. So is the next one. */
__attribute__((noinline)) void conn_send_failed(struct conn *c, int err)
{
    size_t sent = send_queue_progress(&c->unsent);
    c->write_deadline = WHEEL_NEVER;
    counter_add(&c->ctx->stats.bytes_out, sent);
    c->unacked += (int64_t)sent;
    send_queue_sent(&c->unsent, sent);
    if (err == -EOPNOTSUPP && give_back(c)) return;
    if (send_without_ref(c, err)) return;
    bool ours = http_note_failure(c->ctx, c->state == CONN_OPEN, "send to", err);
    struct conn_writer *w = sole_writer(c);
    conn_abort(c, ours ? -EIO : -ECONNRESET);
    if (w) wake_writer(w);
    conn_schedule(c);
}

COLD void conn_send_went_on(struct conn *c)
{
    struct conn_writer *w = sole_writer(c);
    if (c->timed) conn_count_wait(c);
    if (!c->awaits_sent) return;
    if (!c->writer && !c->unsent.bytes) {
        c->awaits_sent = false;
        conn_resume(c);
    }
    if (w && (c->unsent.bytes < w->below || w->wait.scope->cancelled))
        wake_writer(w);
    else
        wake_shared(c);
}
