/* How a client takes what is sent to it. Bytes count when it has acknowledged them: those that the
 * kernel buffers would let it look fast for long.
 *
 * Time counts while a send is in flight, which it is as long as the kernel's buffer is full. So a
 * client that keeps up is never late, however slowly a handler writes, and nothing is done for it.
 * From the first look at a send on (c->timed), those that follow it are counted as well. After each
 * count, c->write_deadline is a pause later: until then, or until the send has completed, the rest
 * is counted. */

#include "base/counter.h"
#include "base/rate.h"
#include "http/conn.h"

#include <errno.h>

/* Looks within --read-grace. */
enum { LOOKS = 4 };

/* Whole milliseconds; a whole part of write_timeout, so that neither limit is overrun by much. */
uint64_t conn_probe_pause(const struct http_limits *l)
{
    uint64_t most = l->read_grace / LOOKS, timeout = l->write_timeout;
    if (!l->min_read_rate || most >= timeout) return timeout;
    if (most < NS_PER_MS) most = NS_PER_MS;
    uint64_t parts = (timeout + most - 1) / most, part = (timeout + parts - 1) / parts;
    return (part + NS_PER_MS - 1) / NS_PER_MS * NS_PER_MS;
}

uint64_t conn_progressed_at(const struct conn *c)
{
    return c->write_deadline - c->ctx->probe_pause - c->unsent.stalled * NS_PER_MS;
}

/* The time since the last count. */
static void count(struct conn *c)
{
    enum { MOST_MS = INT32_MAX / 4 };
    struct send_queue *q = &c->unsent;
    uint64_t since = c->write_deadline - c->ctx->probe_pause;
    uint64_t passed = (c->ctx->io->now - since) / NS_PER_MS;
    c->write_deadline += passed * NS_PER_MS;
    uint32_t ms = passed < MOST_MS ? (uint32_t)passed : MOST_MS;
    q->stalled = q->stalled < MOST_MS ? q->stalled + ms : MOST_MS;
    if (c->ctx->limits->min_read_rate)
        q->behind = q->behind < MOST_MS ? q->behind + ms : MOST_MS;
    else
        q->behind = 0;
}

void conn_count_wait(struct conn *c)
{
    count(c);
    c->unsent.stalled = 0;
    c->stuck = false;
}

static void progress(struct conn *c, uint64_t bytes)
{
    struct send_queue *q = &c->unsent;
    uint64_t rate = c->ctx->limits->min_read_rate;
    q->stalled = 0;
    if (!rate) return;
    uint64_t caught_up = rate_time(bytes, rate) / NS_PER_MS;
    q->behind = caught_up < q->behind ? q->behind - (uint32_t)caught_up : 0;
}

static void cut_off(struct conn *c, enum http_timeout timeout)
{
    counter_add(&c->ctx->stats.timeouts[timeout], 1);
    c->too_slow = timeout == TIMEOUT_READ_RATE;
    conn_abort(c, -ETIMEDOUT);
}

/* A send to a slow client may take long, and is not given up while the client acknowledges enough.
 * If the socket cannot be asked, the bytes that the kernel accepted count instead. */
static void judge(struct conn *c, int64_t unacked)
{
    const struct http_limits *l = c->ctx->limits;
    const struct send_queue *q = &c->unsent;
    int64_t part = io_sent_so_far(c->sock.sending), taken = c->unacked + part - unacked;
    c->stuck = taken <= 0;
    if (!c->stuck) {
        c->unacked = unacked - part;
        progress(c, (uint64_t)taken);
    }
    if (q->stalled * NS_PER_MS >= l->write_timeout)
        cut_off(c, TIMEOUT_WRITE);
    else if (l->min_read_rate && q->behind * NS_PER_MS > l->read_grace)
        cut_off(c, TIMEOUT_READ_RATE);
}

static void on_unacked(struct io *io, struct io_op *op, int res, bool more)
{
    struct conn *c = conn_of_call(op);
    (void)io, (void)more;
    if (c->state == CONN_OPEN && c->sock.sending) judge(c, res > 0 ? res : 0);
    conn_schedule(c);
}

void conn_probe(struct conn *c)
{
    count(c);
    c->timed = true;
    if (!io_busy(&c->call.op)) conn_start_call(c, IO_UNACKED, on_unacked);
}
