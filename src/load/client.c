#include "load/client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_NS (50 * NS_PER_MS) /* after a connect that failed */

enum {
    SAMPLE_MAX = 16 * 1024, /* of a reply that is compared as a whole */
    MISSES_MAX = 16,
    DATE_LEN = 29,   /* of an IMF-fixdate (RFC 9110, 5.6.7) */
    NO_STATUS = 100, /* of a reply whose head is not whole: 0 is one that a server can send */
};

static struct pending *pending_at(struct client *c, uint32_t i)
{
    return &c->pending[i & c->mask];
}

bool client_init(struct client *c, struct load_core *core)
{
    uint32_t n = 1;
    while (n < core->plan->pipeline) n *= 2;
    c->core = core;
    c->mask = n - 1;
    list_init(&c->link);
    c->pending = calloc(n, sizeof *c->pending);
    return c->pending != NULL;
}

void client_free(struct client *c)
{
    free(c->pending);
    free(c->filled);
}

void client_touch(struct client *c)
{
    io_defer(&c->core->io, &c->task);
}

/* ---- the first error of a kind ---- */

static struct difference *difference_of(const struct client *c)
{
    return &c->core->differences[c - c->core->clients];
}

static const char *server_of(const struct client *c, char text[SOCK_ADDR_TEXT])
{
    sock_addr_format(&c->core->plan->addr, text);
    return text;
}

/* The oldest request in flight. */
static const char *request_of(struct client *c, char text[REQUEST_LINE])
{
    request_line(&c->core->plan->request[pending_at(c, c->head)->request], text);
    return text;
}

static void tell_connect(struct client *c, int err)
{
    struct first_error *f = load_core_first(c->core, ERROR_CONNECT);
    char server[SOCK_ADDR_TEXT];
    if (f) first_connect(f, server_of(c, server), err);
}

/* `err` is a positive errno, or 0 where the server has closed. */
static void tell_reset(struct client *c, int err)
{
    struct first_error *f = load_core_first(c->core, ERROR_RESET);
    char server[SOCK_ADDR_TEXT], request[REQUEST_LINE];
    if (f && c->head != c->tail)
        first_reset(f, server_of(c, server), request_of(c, request), err, c->in_reply);
}

static void tell_timeout(struct client *c)
{
    struct first_error *f = load_core_first(c->core, ERROR_TIMEOUT);
    char server[SOCK_ADDR_TEXT], request[REQUEST_LINE];
    if (f)
        first_timeout(f, server_of(c, server), request_of(c, request), c->core->plan->timeout,
                      c->in_reply);
}

static void tell_status(struct client *c)
{
    struct first_error *f = load_core_first(c->core, ERROR_STATUS);
    char request[REQUEST_LINE];
    if (f) first_status(f, request_of(c, request), c->reply.status, c->core->plan->expect_status);
}

static void tell_body(struct client *c)
{
    struct first_error *f = load_core_first(c->core, ERROR_BODY);
    char request[REQUEST_LINE];
    if (f)
        first_body(f, request_of(c, request), c->wrong_body ? difference_of(c) : NULL,
                   c->core->plan->expect_body, c->reply.body_bytes);
}

/* `at` is where in `in` the parser stopped. */
static void tell_framing(struct client *c, slice in, size_t at)
{
    struct first_error *f = load_core_first(c->core, ERROR_FRAMING);
    char request[REQUEST_LINE];
    if (f) first_framing(f, request_of(c, request), c->reply.problem, in, at);
}

static void tell_unasked(struct client *c, slice in)
{
    struct first_error *f = load_core_first(c->core, ERROR_FRAMING);
    char server[SOCK_ADDR_TEXT];
    if (f) first_unasked(f, server_of(c, server), in);
}

/* ---- the end of a connection ---- */

static void give_up_all(struct client *c, enum load_error why)
{
    for (; c->head != c->tail; c->head++) load_core_bad(c->core, why, pending_at(c, c->head));
    c->sent = c->tail;
}

static void return_all(struct client *c)
{
    for (; c->head != c->tail; c->head++) load_core_return(c->core, pending_at(c, c->head));
    c->sent = c->tail;
}

void client_close(struct client *c)
{
    if (c->state != CLIENT_OPEN && c->state != CLIENT_CONNECTING) return;
    list_unlink(&c->link);
    return_all(c);
    if (c->state == CLIENT_CONNECTING)
        io_cancel(&c->core->io, &c->call.op);
    else
        c->state = CLIENT_CLOSING;
    client_touch(c);
}

static void broken(struct client *c, enum load_error why)
{
    give_up_all(c, why);
    client_close(c);
}

static void on_closed(struct io *io, struct io_op *op, int res, bool more)
{
    struct client *c = container_of(container_of(op, struct io_call, op), struct client, call);
    struct load_core *core = c->core;
    (void)io, (void)res, (void)more;
    c->state = CLIENT_REST;
    core->open--;
    if (load_core_connects(core)) client_connect(c);
}

static void close_step(struct client *c)
{
    struct io *io = &c->core->io;
    io_cancel(io, &c->sock.recv);
    if (c->sock.sending) io_cancel(io, &c->send.op);
    if (io_busy(&c->sock.recv) || io_busy(&c->send.op) || io_busy(&c->call.op)) return;
    wheel_clear(&io->wheel, &c->timer);
    c->call = (struct io_call){.op = {.fn = on_closed}, .sock = {&c->sock}};
    io_call_start(io, &c->call, IO_CLOSE_SOCK);
}

/* ---- replies ---- */

static bool same_bytes(const struct sample *s, slice in)
{
    if (in.len < s->len || memcmp(in.ptr, s->bytes, s->date) != 0) return false;
    uint32_t rest = s->date + DATE_LEN;
    return s->date == s->len || memcmp(in.ptr + rest, s->bytes + rest, s->len - rest) == 0;
}

/* A reply with the bytes of one that was found right, but for its date, is right: that is cheaper
 * to see than to parse, and a stricter check. Its length, or 0. */
static uint32_t same_as_sample(struct sample *s, slice in)
{
    if (s->len == 0) return 0;
    if (LIKELY(same_bytes(s, in))) {
        s->misses = 0;
        return s->len;
    }
    return 0;
}

static uint32_t find_date(slice reply)
{
    static const char name[] = "\r\ndate: ";
    const char *end = memmem(reply.ptr, reply.len, "\r\n\r\n", 4);
    size_t n = sizeof name - 1, head = end ? (size_t)(end - reply.ptr) : 0;
    for (size_t i = 0; i + n + DATE_LEN <= head; i++)
        if (slice_ieq(slice_of(reply.ptr + i, n), slice_of(name, n)))
            return reply.ptr[i + n + DATE_LEN] == '\r' ? (uint32_t)(i + n) : (uint32_t)reply.len;
    return (uint32_t)reply.len;
}

static void learn(struct sample *s, slice reply, const struct response_parser *r)
{
    if (reply.len > SAMPLE_MAX || !r->keep_alive || s->misses >= MISSES_MAX) return;
    if (s->len) s->misses++;
    if (reply.len > s->cap) {
        char *more = realloc(s->bytes, reply.len);
        if (!more) return;
        s->bytes = more;
        s->cap = (uint32_t)reply.len;
    }
    memcpy(s->bytes, reply.ptr, reply.len);
    s->len = s->misses < MISSES_MAX ? (uint32_t)reply.len : 0;
    s->date = find_date(reply);
    s->status = r->status;
}

static void count_status(struct client *c, uint16_t status, bool counted)
{
    if (status < 200) return; /* an interim one is not the reply's */
    if (load_core_measures(c->core, counted))
        counter_add(&c->core->counts.status[status < 600 ? status : 0], 1);
}

static void good(struct client *c, uint16_t status, uint64_t now)
{
    struct pending *p = pending_at(c, c->head++);
    count_status(c, status, p->counted);
    load_core_good(c->core, p->intended, p->sent, now, p->counted);
}

static void bad(struct client *c, uint16_t status, enum load_error why)
{
    const struct pending *p = pending_at(c, c->head++);
    count_status(c, status, p->counted);
    load_core_bad(c->core, why, p);
}

static void on_body(struct response_parser *r, slice piece)
{
    struct client *c = container_of(r, struct client, reply);
    slice want = c->core->plan->expect_body;
    uint64_t from = r->body_bytes - piece.len;
    if (!want.ptr || c->wrong_body) return;
    if (r->body_bytes > want.len || memcmp(want.ptr + from, piece.ptr, piece.len) != 0) {
        c->wrong_body = true;
        difference_find(difference_of(c), want, from, piece);
    }
}

/* The reply at hand is whole; true when it is right, too. */
static bool judge(struct client *c, uint64_t now)
{
    const struct plan *plan = c->core->plan;
    const struct response_parser *r = &c->reply;
    c->in_reply = false;
    if (!r->keep_alive) c->last = true;
    if (plan->expect_status ? r->status != plan->expect_status : r->status / 100 != 2) {
        tell_status(c);
        bad(c, r->status, ERROR_STATUS);
        return false;
    }
    if (plan->expect_body.ptr && !r->to_head &&
        (c->wrong_body || r->body_bytes != plan->expect_body.len)) {
        tell_body(c);
        bad(c, r->status, ERROR_BODY);
        return false;
    }
    good(c, r->status, now);
    return true;
}

static void begin_reply(struct client *c, const struct pending *p)
{
    c->reply.on_body = on_body;
    response_parser_begin(&c->reply, c->core->plan->request[p->request].to_head);
    c->reply.status = NO_STATUS;
    c->in_reply = true;
    c->wrong_body = false;
}

static void feed(struct client *c, slice in, uint64_t now)
{
    while (in.len && c->state == CLIENT_OPEN) {
        if (c->head == c->sent) { /* bytes that nobody asked for */
            tell_unasked(c, in);
            load_core_bad(c->core, ERROR_FRAMING, NULL);
            client_close(c);
            return;
        }
        struct pending *p = pending_at(c, c->head);
        struct sample *sample = &c->core->samples[p->request];
        bool from_here = !c->in_reply;
        if (from_here) {
            uint32_t n = same_as_sample(sample, in);
            if (LIKELY(n)) {
                good(c, sample->status, now);
                in = slice_skip(in, n);
                continue;
            }
            begin_reply(c, p);
        }
        size_t used = response_parser_parse(&c->reply, in);
        if (c->reply.state == RESPONSE_ERROR) {
            tell_framing(c, in, used);
            broken(c, ERROR_FRAMING);
            return;
        }
        if (c->reply.state == RESPONSE_DONE && judge(c, now) && from_here)
            learn(sample, slice_of(in.ptr, used), &c->reply);
        in = slice_skip(in, used);
    }
}

/* The server has closed, or reset the connection. That is its right between two replies, and where
 * it has said so: to reset it, then, is how it does not read what it does not answer (RFC
 * 9112, 9.6). `reset` is a positive errno, or 0 where it has closed. */
static void ended(struct client *c, uint64_t now, int reset)
{
    if (c->in_reply) {
        response_parser_end(&c->reply);
        if (c->reply.state == RESPONSE_DONE && !reset) {
            judge(c, now);
        } else {
            tell_reset(c, reset);
            bad(c, c->reply.status, ERROR_RESET);
        }
        c->in_reply = false;
    }
    if (c->last) {
        client_close(c);
    } else {
        tell_reset(c, reset);
        broken(c, ERROR_RESET);
    }
}

static void on_recv(struct io *io, struct io_op *op, int res, bool more)
{
    struct client *c = container_of(container_of(op, struct io_sock, recv), struct client, sock);
    (void)more;
    if (c->state == CLIENT_OPEN) {
        uint64_t now = clock_ns();
        if (res > 0) {
            counter_add(&c->core->counts.bytes_in, (uint64_t)res);
            feed(c, slice_of(io->lease, (size_t)res), now);
        } else {
            ended(c, now, res < 0 ? -res : c->reset);
        }
    }
    client_touch(c);
}

/* ---- requests ---- */

void client_take(struct client *c, const struct pending *p)
{
    struct pending *mine = pending_at(c, c->tail++);
    *mine = *p;
    mine->sent = c->core->io.now; /* until it is: it may have to wait for what is being sent */
    c->on_this++;
    client_touch(c);
}

static void on_sent(struct io *io, struct io_op *op, int res, bool more)
{
    struct client *c = container_of(container_of(op, struct io_send, op), struct client, send);
    (void)io, (void)more;
    if (res > 0) counter_add(&c->core->counts.bytes_out, (uint64_t)res);
    if (res < 0 && c->state == CLIENT_OPEN) {
        /* What came before is still to be read, with its end behind it; but the error is told
         * once. */
        if (res == -ECONNRESET) c->reset = ECONNRESET;
        if (res != -ECONNRESET && res != -EPIPE) {
            tell_reset(c, -res);
            broken(c, ERROR_RESET);
        }
        client_touch(c);
        return;
    }
    if (c->state != CLIENT_OPEN || c->sent != c->tail) client_touch(c);
}

/* Fills request `r` behind what is there already; false where it must wait for the next send. */
static bool fill(struct client *c, const struct request *r, size_t *len, struct io_send *s)
{
    size_t room = request_room(r);
    if (*len + room > c->filled_cap) {
        char *more = *len ? NULL : realloc(c->filled, room * IO_SEND_IOV);
        if (!more) return false;
        c->filled = more;
        c->filled_cap = room * IO_SEND_IOV;
    }
    char *from = c->filled + *len, *end = request_fill(r, &c->core->filler, from);
    *len += (size_t)(end - from);
    s->iov[s->count++] = (struct iovec){from, (size_t)(end - from)};
    return true;
}

/* Equal requests in a row leave as one piece, as far as there are copies. */
static void add_copies(const struct request *r, struct io_send *s)
{
    struct iovec *last = s->count ? &s->iov[s->count - 1] : NULL;
    if (last && last->iov_base == r->bytes.ptr && last->iov_len / r->bytes.len < r->copies)
        last->iov_len += r->bytes.len;
    else
        s->iov[s->count++] = (struct iovec){(void *)(uintptr_t)r->bytes.ptr, r->bytes.len};
}

static void send_more(struct client *c)
{
    if (c->sent == c->tail || io_busy(&c->send.op)) return;
    struct io_send *s = &c->send;
    uint64_t now = clock_ns();
    size_t len = 0;
    s->count = 0;
    for (; c->sent != c->tail && s->count < IO_SEND_IOV; c->sent++) {
        struct pending *p = pending_at(c, c->sent);
        const struct request *r = &c->core->plan->request[p->request];
        if (r->bytes.ptr)
            add_copies(r, s);
        else if (!fill(c, r, &len, s))
            break;
        p->sent = now;
        if (!p->intended) p->intended = now;
    }
    if (s->count == 0) { /* out of memory */
        tell_connect(c, ENOMEM);
        broken(c, ERROR_CONNECT);
        return;
    }
    s->op.fn = on_sent;
    s->sock = &c->sock;
    io_send_start(&c->core->io, s);
}

/* ---- the end of the turn ---- */

static bool nothing_more(const struct client *c)
{
    const struct plan *p = c->core->plan;
    return c->head == c->tail &&
           (c->last || (p->per_connection && c->on_this >= p->per_connection));
}

static void run_task(struct io_task *t)
{
    struct client *c = container_of(t, struct client, task);
    struct load_core *core = c->core;
    if (c->state == CLIENT_OPEN) {
        if (c->last) return_all(c);
        if (client_has_room(c)) load_core_has_room(core, c);
        send_more(c);
        if (c->state == CLIENT_OPEN && nothing_more(c)) client_close(c);
        if (c->head != c->tail)
            wheel_set(&core->io.wheel, &c->timer,
                      pending_at(c, c->head)->sent + core->plan->timeout);
    }
    if (c->state == CLIENT_CLOSING && !io_busy(&c->call.op)) close_step(c);
}

static void on_timer(struct wheel_timer *t)
{
    struct client *c = container_of(t, struct client, timer);
    struct load_core *core = c->core;
    if (c->state == CLIENT_REST) {
        if (load_core_connects(core)) client_connect(c);
    } else if (c->state == CLIENT_CONNECTING) {
        io_cancel(&core->io, &c->call.op);
    } else if (c->state == CLIENT_OPEN && c->head != c->tail) {
        if (pending_at(c, c->head)->sent + core->plan->timeout <= core->io.now) {
            tell_timeout(c);
            broken(c, ERROR_TIMEOUT);
        }
        client_touch(c);
    }
}

/* ---- the beginning ---- */

static void tried(struct client *c)
{
    if (!c->tried) counter_add(&c->core->counts.connecting_done, 1);
    c->tried = true;
}

static void connect_failed(struct client *c, int err)
{
    struct load_core *core = c->core;
    if (load_core_connects(core)) {
        core->connect_error = err == -ECANCELED ? ETIMEDOUT : -err;
        tell_connect(c, core->connect_error);
        load_core_bad(core, ERROR_CONNECT, NULL);
        wheel_set(&core->io.wheel, &c->timer, core->io.now + RETRY_NS);
    }
    c->state = CLIENT_REST;
    core->open--;
    tried(c);
}

static void on_connected(struct io *io, struct io_op *op, int res, bool more)
{
    struct client *c = container_of(container_of(op, struct io_call, op), struct client, call);
    int fd = c->call.connect.fd;
    (void)more;
    wheel_clear(&io->wheel, &c->timer);
    if (res == 0 && c->core->phase >= PHASE_END) res = -ECANCELED;
    if (res == 0) res = io_sock_init(io, &c->sock, fd, false, on_recv);
    if (res < 0) {
        close(fd);
        connect_failed(c, res);
        return;
    }
    c->state = CLIENT_OPEN;
    c->head = c->sent = c->tail = 0;
    c->on_this = 0;
    c->in_reply = c->last = false;
    c->reset = 0;
    counter_add(&c->core->counts.connects, 1);
    tried(c);
    io_recv_start(io, &c->sock);
    client_touch(c);
}

void client_connect(struct client *c)
{
    struct load_core *core = c->core;
    const struct plan *p = core->plan;
    int fd = socket(p->addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    c->task.fn = run_task;
    if (!c->timer.fn) wheel_timer_init(&c->timer, on_timer);
    core->open++;
    if (fd < 0) {
        connect_failed(c, -errno);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CLIENT_CONNECTING;
    c->call =
        (struct io_call){.op = {.fn = on_connected}, .connect = {fd, &p->addr.sa, p->addr.len}};
    wheel_set(&core->io.wheel, &c->timer, core->io.now + p->timeout);
    io_call_start(&core->io, &c->call, IO_CONNECT);
}
