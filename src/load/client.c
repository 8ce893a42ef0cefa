#include "load/client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define RETRY_NS (50 * NS_PER_MS) /* from a connection that was of no use to the next */
#define QUEUE_NS (5 * NS_PER_MS)  /* from a connect that found no room in a queue to the next */

void client_schedule(struct client *c)
{
    io_defer(&c->context->io, &c->pipeline.task);
}

/* ---- closing ---- */

static void return_requests(struct client *c)
{
    struct pipeline *p = &c->pipeline;
    for (; !pipeline_empty(p); p->head++) supply_return(&c->context->supply, pipeline_oldest(p));
    p->sent = p->tail;
}

void client_close(struct client *c)
{
    if (c->state != CLIENT_OPEN && c->state != CLIENT_CONNECTING) return;
    pipeline_stop(&c->pipeline);
    return_requests(c);
    if (c->state == CLIENT_CONNECTING)
        io_cancel(&c->context->io, &c->call.op);
    else
        c->state = CLIENT_CLOSING;
    client_schedule(c);
}

/* Closes the connection; each of its requests is an error. */
static void fail_connection(struct client *c, enum load_error kind)
{
    struct pipeline *p = &c->pipeline;
    for (; !pipeline_empty(p); p->head++)
        record_error(&c->context->record, kind, pipeline_oldest(p));
    p->sent = p->tail;
    client_close(c);
}

static void on_closed(struct io *io, struct io_op *op, int res, bool more)
{
    struct client *c = container_of(container_of(op, struct io_call, op), struct client, call);
    (void)res, (void)more;
    c->state = CLIENT_CLOSED;
    c->context->open--;
    if (!supply_continues(&c->context->supply)) return;
    if (c->pipeline.assigned) /* a server may close what has served */
        client_connect(c);
    else
        wheel_set(&io->wheel, &c->timer, io->now + RETRY_NS);
}

static void continue_close(struct client *c)
{
    struct io *io = &c->context->io;
    struct io_op *send = &c->sender.send.op;
    io_cancel(io, &c->sock.recv);
    if (c->sock.sending) io_cancel(io, send);
    if (io_busy(&c->sock.recv) || io_busy(send) || io_busy(&c->call.op)) return;
    wheel_clear(&io->wheel, &c->timer);
    c->call = (struct io_call){.op = {.fn = on_closed}, .sock = {&c->sock}};
    io_call_start(io, &c->call, IO_CLOSE_SOCK);
}

/* ---- replies ---- */

/* The server has closed the connection (`err` 0) or reset it (a positive errno). It may do so
 * between two replies, and once it has announced to close: it then discards the requests that it
 * does not answer, which can reset the connection (RFC 9112, 9.6). */
static void handle_eof(struct client *c, uint64_t now, int err)
{
    receiver_eof(&c->receiver, now, err);
    if (c->receiver.close_announced) {
        client_close(c);
    } else {
        receiver_sample_reset(&c->receiver, err);
        fail_connection(c, ERROR_RESET);
    }
}

static void on_recv(struct io *io, struct io_op *op, int res, bool more)
{
    struct client *c = container_of(container_of(op, struct io_sock, recv), struct client, sock);
    (void)more;
    if (c->state == CLIENT_OPEN) {
        uint64_t now = clock_ns();
        if (res > 0) {
            record_bytes(&c->context->record, &c->context->record.counts.bytes_in, res);
            enum receiver_result result =
                receiver_feed(&c->receiver, slice_of(io->lease, (size_t)res), now);
            if (result == RECEIVER_MALFORMED) fail_connection(c, ERROR_FRAMING);
            if (result == RECEIVER_UNSOLICITED) client_close(c);
        } else {
            handle_eof(c, now, res < 0 ? -res : c->send_error);
        }
    }
    client_schedule(c);
}

/* ---- requests ---- */

static void on_sent(struct io *io, struct io_op *op, int res, bool more)
{
    struct client *c =
        container_of(container_of(op, struct io_send, op), struct client, sender.send);
    (void)io, (void)more;
    if (res > 0) record_bytes(&c->context->record, &c->context->record.counts.bytes_out, res);
    if (res < 0 && c->state == CLIENT_OPEN) {
        /* Replies that came before may still be unread. The end of the stream follows them, and is
         * the error then. */
        if (res == -ECONNRESET) c->send_error = ECONNRESET;
        if (res != -ECONNRESET && res != -EPIPE) {
            receiver_sample_reset(&c->receiver, -res);
            fail_connection(c, ERROR_RESET);
        }
        client_schedule(c);
        return;
    }
    if (c->state != CLIENT_OPEN || c->pipeline.sent != c->pipeline.tail) client_schedule(c);
}

static void sample_connect(struct client *c, int err)
{
    struct load_context *x = c->context;
    error_sample_connect(record_sample(&x->record, ERROR_CONNECT), &x->plan->addr, err);
}

static void send_requests(struct client *c)
{
    struct load_context *x = c->context;
    struct io_send *send = &c->sender.send;
    if (c->pipeline.sent == c->pipeline.tail || io_busy(&send->op)) return;
    if (!sender_fill(&c->sender, &c->pipeline, x->plan->request, &x->filler)) {
        sample_connect(c, ENOMEM);
        fail_connection(c, ERROR_CONNECT);
        return;
    }
    send->op.fn = on_sent;
    send->sock = &c->sock;
    io_send_start(&x->io, send);
}

/* ---- the end of the turn ---- */

/* How long a reply is awaited, in ns. */
static uint64_t patience(const struct plan *p)
{
    return p->deadline ? p->deadline : p->timeout;
}

static uint64_t deadline(struct client *c)
{
    return pipeline_oldest(&c->pipeline)->sent + patience(c->context->plan);
}

/* Everything that this connection may be asked is answered. */
static bool is_finished(const struct client *c)
{
    const struct pipeline *p = &c->pipeline;
    return pipeline_empty(p) && (c->receiver.close_announced || p->assigned >= p->limit);
}

static void run_task(struct io_task *t)
{
    struct client *c = container_of(t, struct client, pipeline.task);
    struct load_context *x = c->context;
    if (c->state == CLIENT_OPEN) {
        if (c->receiver.close_announced) return_requests(c);
        if (pipeline_has_room(&c->pipeline)) supply_fill(&x->supply, &c->pipeline);
        send_requests(c);
        if (c->state == CLIENT_OPEN && is_finished(c)) client_close(c);
        if (!pipeline_empty(&c->pipeline)) wheel_set(&x->io.wheel, &c->timer, deadline(c));
    }
    if (c->state == CLIENT_CLOSING && !io_busy(&c->call.op)) continue_close(c);
}

static void sample_timeout(struct client *c)
{
    const struct plan *p = c->context->plan;
    error_sample_timeout(record_sample(&c->context->record, ERROR_TIMEOUT), &p->addr,
                         &p->request[pipeline_oldest(&c->pipeline)->request], patience(p),
                         c->receiver.started);
}

static void on_timeout(struct client *c)
{
    struct load_context *x = c->context;
    const struct pending *oldest = pipeline_oldest(&c->pipeline);
    if (x->plan->deadline && supply_retry(&x->supply, oldest)) {
        c->pipeline.head++; /* with a deadline it is the only one */
        client_close(c);
        return;
    }
    sample_timeout(c);
    fail_connection(c, ERROR_TIMEOUT);
}

void client_end(struct client *c)
{
    struct load_context *x = c->context;
    struct pipeline *p = &c->pipeline;
    bool sent = true; /* [head, sent) come first */
    wheel_clear(&x->io.wheel, &c->timer);
    for (; !pipeline_empty(p); p->head++) {
        const struct pending *oldest = pipeline_oldest(p);
        if (p->head == p->sent) sent = false;
        if (deadline(c) > x->io.now || oldest->retries < x->plan->retries) {
            supply_abandon(&x->supply, oldest, sent);
        } else {
            sample_timeout(c);
            record_error(&x->record, ERROR_TIMEOUT, oldest);
        }
    }
    p->sent = p->tail;
    client_close(c);
}

static void on_timer(struct wheel_timer *t)
{
    struct client *c = container_of(t, struct client, timer);
    struct load_context *x = c->context;
    if (c->state == CLIENT_CLOSED) {
        if (supply_continues(&x->supply)) client_connect(c);
    } else if (io_is_behind(&x->io) && !x->plan->deadline) { /* what is awaited may have come */
        wheel_set(&x->io.wheel, &c->timer, x->io.behind_until);
    } else if (c->state == CLIENT_CONNECTING) {
        io_cancel(&x->io, &c->call.op);
    } else if (c->state == CLIENT_OPEN && !pipeline_empty(&c->pipeline)) {
        if (deadline(c) <= x->io.now) on_timeout(c);
        client_schedule(c);
    }
}

/* ---- connecting ---- */

static void count_attempt(struct client *c)
{
    if (!c->attempted) counter_add(&c->context->record.counts.connecting_done, 1);
    c->attempted = true;
}

/* A connect to a Unix socket does not wait while the queue there is full, unlike one to any other
 * server that is slow to accept. */
static bool waits_for_room(struct client *c, int err)
{
    const struct load_context *x = c->context;
    if (err != -EAGAIN || !x->plan->addr.path) return false;
    if (!c->full_since) c->full_since = x->io.now;
    return x->io.now - c->full_since < x->plan->timeout;
}

/* `err` is a negative errno; -ECANCELED where the timer ended it. */
static void connect_failed(struct client *c, int err)
{
    struct load_context *x = c->context;
    c->state = CLIENT_CLOSED;
    x->open--;
    if (waits_for_room(c, err)) {
        wheel_set(&x->io.wheel, &c->timer, x->io.now + QUEUE_NS);
        return;
    }
    if (err == -EAGAIN && c->full_since) err = -ECANCELED; /* any other error is what came of it */
    c->full_since = 0;
    if (supply_continues(&x->supply)) {
        x->record.connect_error = err == -ECANCELED ? ETIMEDOUT : -err;
        sample_connect(c, x->record.connect_error);
        record_error(&x->record, ERROR_CONNECT, NULL);
        wheel_set(&x->io.wheel, &c->timer, x->io.now + RETRY_NS);
    }
    count_attempt(c);
}

static void on_connected(struct io *io, struct io_op *op, int res, bool more)
{
    struct client *c = container_of(container_of(op, struct io_call, op), struct client, call);
    struct record *record = &c->context->record;
    int fd = c->call.connect.fd;
    (void)more;
    wheel_clear(&io->wheel, &c->timer);
    if (res == 0 && record->phase >= PHASE_END) res = -ECANCELED;
    if (res == 0) res = io_sock_init(io, &c->sock, fd, false, on_recv);
    if (res < 0) {
        close(fd);
        connect_failed(c, res);
        return;
    }
    c->state = CLIENT_OPEN;
    c->send_error = 0;
    c->full_since = 0;
    pipeline_open(&c->pipeline);
    receiver_open(&c->receiver);
    counter_add(&record->counts.connects, 1);
    count_attempt(c);
    io_recv_start(io, &c->sock);
    client_schedule(c);
}

void client_connect(struct client *c)
{
    struct load_context *x = c->context;
    const struct plan *p = x->plan;
    int fd = socket(p->addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    int err = fd < 0 ? -errno : source_bind(&p->source, fd, c->number);
    x->open++;
    if (err) {
        if (fd >= 0) close(fd);
        connect_failed(c, err);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CLIENT_CONNECTING;
    const struct sockaddr *to = &p->addr.sa;
    socklen_t len = p->addr.len;
    if (p->addr.path) {
        len = local_raw(&p->addr, &x->local);
        to = (const struct sockaddr *)&x->local;
    }
    c->call = (struct io_call){.op = {.fn = on_connected}, .connect = {fd, to, len}};
    wheel_set(&x->io.wheel, &c->timer, x->io.now + p->timeout);
    io_call_start(&x->io, &c->call, IO_CONNECT);
}

bool client_init(struct client *c, struct load_context *context, uint32_t number)
{
    const struct plan *p = context->plan;
    c->context = context;
    c->number = number;
    wheel_timer_init(&c->timer, on_timer);
    receiver_init(&c->receiver, context, &c->pipeline);
    return pipeline_init(&c->pipeline, p->pipeline, p->per_connection, run_task);
}

void client_free(struct client *c)
{
    pipeline_free(&c->pipeline);
    sender_free(&c->sender);
}
