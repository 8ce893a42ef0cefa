#include "task/stream.h"

#include "io/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNREAD_FIRST = 4096, /* bytes of memory for unread ones, at first */
    SEND_MAX = 1 << 30,  /* bytes of one send, whose result is an int32_t */
};

/* Fibers in a call. They stay registered until they have resumed, also when they are woken already:
 * until then a close can still tell them. */

struct stream_reader {
    struct wait wait;
    bool closed; /* the stream is, and may be no more */
    char *buf;
    size_t size;
};

struct stream_writer {
    struct wait wait;
    bool closed;      /* likewise */
    struct io_op *op; /* in flight: a send or a shutdown */
};

static void schedule(struct stream *s)
{
    io_defer(s->io, &s->task);
}

/* A reset by the peer has one name, whichever call finds it; -ECONNRESET is that of a request whose
 * client has gone. */
static int peer_error(int err)
{
    return err == -ECONNRESET ? -EPIPE : err;
}

/* ---- receiving ---- */

static bool wants_recv(const struct stream *s)
{
    size_t limit = s->io->keep_less ? 1 : STREAM_UNREAD;
    return !s->closing && !s->eof && !s->read_error && s->unread_len < limit;
}

/* What is cancelled may still be in flight; its completion calls this again. */
static void update_recv(struct stream *s)
{
    bool runs = io_busy(&s->sock.recv), wants = wants_recv(s);
    if (runs && !wants) io_cancel(s->io, &s->sock.recv);
    if (!runs && wants) io_recv_start(s->io, &s->sock);
}

static void free_unread(struct stream *s)
{
    free(s->unread);
    s->io->kept -= s->unread_cap;
    s->unread = NULL;
    s->unread_at = s->unread_len = s->unread_cap = 0;
}

static bool make_room(struct stream *s, size_t n)
{
    if (s->unread_cap - s->unread_at - s->unread_len >= n) return true;
    if (s->unread_at) memmove(s->unread, s->unread + s->unread_at, s->unread_len);
    s->unread_at = 0;
    size_t cap = s->unread_cap ? s->unread_cap : UNREAD_FIRST;
    while (cap - s->unread_len < n) cap *= 2;
    if (cap == s->unread_cap) return true;
    char *more = realloc(s->unread, cap);
    if (!more) return false;
    s->unread = more;
    s->io->kept += cap - s->unread_cap;
    s->unread_cap = cap;
    return true;
}

static void keep(struct stream *s, const char *bytes, size_t n)
{
    if (!make_room(s, n)) {
        s->read_error = -ENOMEM;
        return;
    }
    memcpy(s->unread + s->unread_at + s->unread_len, bytes, n);
    s->unread_len += n;
}

static void on_bytes(struct stream *s, const char *bytes, size_t n)
{
    struct stream_reader *r = s->reader;
    size_t now = 0;
    if (s->closing || s->read_error) return;
    if (r && !r->wait.woken) {
        now = n < r->size ? n : r->size;
        memcpy(r->buf, bytes, now);
        wait_wake(&r->wait, (int)now);
    }
    if (now < n) keep(s, bytes + now, n - now);
}

/* A socket tells of a reset once: if a send has been told, the recv finds a mere end. */
static bool is_reset(const struct stream *s)
{
    return (s->writer || s->write_error) && !s->shut && sock_is_closed(s->sock.fd);
}

static void on_recv_end(struct stream *s, int res)
{
    if (res == 0 && is_reset(s)) res = -EPIPE;
    if (res == 0)
        s->eof = true;
    else if (res != -ECANCELED)
        s->read_error = peer_error(res);
    else
        return;
    if (s->reader) wait_wake(&s->reader->wait, s->read_error);
}

static void on_recv(struct io *io, struct io_op *op, int res, bool more)
{
    struct stream *s = container_of(container_of(op, struct io_sock, recv), struct stream, sock);
    if (res > 0) on_bytes(s, io->lease, (size_t)res);
    if (!more) on_recv_end(s, res);
    if (s->closing) {
        schedule(s);
        return;
    }
    if (s->notify && !s->reader && !stream_is_quiet(s)) s->notify(s);
    update_recv(s);
}

/* ---- reading ---- */

static ssize_t take(struct stream *s, char *buf, size_t size)
{
    size_t n = s->unread_len < size ? s->unread_len : size;
    memcpy(buf, s->unread + s->unread_at, n);
    s->unread_at += n;
    s->unread_len -= n;
    if (s->unread_len == 0) free_unread(s);
    update_recv(s);
    return (ssize_t)n;
}

static void read_cancel(struct wait *w)
{
    wait_wake(w, w->scope->cancelled);
}

ssize_t stream_read(struct scope *scope, struct stream *s, void *buf, size_t size)
{
    int refused = scope_refuses(scope);
    if (refused) return refused;
    if (s->reader) return -EBUSY;
    if (size == 0) return 0;
    if (size > SEND_MAX) size = SEND_MAX;
    if (s->unread_len) return take(s, buf, size);
    if (s->read_error || s->eof) return s->read_error;
    struct stream_reader r = {.wait.what = "stream read", .buf = buf, .size = size};
    s->reader = &r;
    int res = wait_park(scope, &r.wait, read_cancel);
    if (!r.closed) s->reader = NULL;
    return res;
}

bool stream_has_ended(const struct stream *s)
{
    return s->eof || s->read_error || sock_has_ended(s->sock.fd);
}

/* ---- writing ---- */

static struct stream *stream_of_call(struct io_op *op)
{
    return container_of(container_of(op, struct io_call, op), struct stream, call);
}

/* The stream is closed, and no send or shutdown is in flight. */
static void tell_writer(struct stream *s)
{
    struct stream_writer *w = s->writer;
    s->writer = NULL;
    if (!w) return;
    w->closed = true;
    wait_overrule(&w->wait, -EBADF);
}

static void wake_writer(struct stream *s, int result)
{
    if (!s->closing) {
        wait_wake(&s->writer->wait, result);
        return;
    }
    tell_writer(s);
    schedule(s);
}

/* Some bytes of the send have left. */
static bool has_begun(const struct stream *s)
{
    return s->send.at > 0 || s->send.iov[0].iov_base != s->sending_from;
}

/* What was cancelled before a byte left may be written again; after that, the peer has a part of
 * it. */
static void on_sent(struct io *io, struct io_op *op, int res, bool more)
{
    struct io_send *send = container_of(op, struct io_send, op);
    struct stream *s = container_of(send, struct stream, send);
    (void)io, (void)more;
    if (res == -ECANCELED && has_begun(s)) s->write_error = -EPIPE;
    if (res < 0 && res != -ECANCELED) s->write_error = peer_error(res);
    wake_writer(s, res < 0 ? peer_error(res) : 0);
}

static void on_shut(struct io *io, struct io_op *op, int res, bool more)
{
    struct stream *s = stream_of_call(op);
    (void)io, (void)more;
    if (res == 0) {
        s->shut = true;
        s->write_error = -EPIPE;
    }
    wake_writer(s, res == -ENOTCONN ? -EPIPE : res);
}

/* The kernel may still read the bytes, so the fiber waits for the completion. */
static void write_cancel(struct wait *w)
{
    struct stream_writer *writer = container_of(w, struct stream_writer, wait);
    io_cancel(w->scope->io, writer->op);
}

static int write_refused(const struct scope *scope, const struct stream *s)
{
    int refused = scope_refuses(scope);
    if (refused) return refused;
    return s->writer ? -EBUSY : s->write_error;
}

static int await_write(struct scope *scope, struct stream *s, struct io_op *op)
{
    struct stream_writer w = {.wait.what = "stream write", .op = op};
    s->writer = &w;
    int res = wait_park(scope, &w.wait, write_cancel);
    if (!w.closed) s->writer = NULL;
    return res == -ECANCELED && scope->cancelled ? scope->cancelled : res;
}

int stream_send(struct scope *scope, struct stream *s, const struct iovec *iov, uint32_t n)
{
    int refused = write_refused(scope, s);
    if (refused) return refused;
    struct io_send *send = &s->send;
    send->op.fn = on_sent;
    send->sock = &s->sock;
    send->count = 0;
    for (uint32_t i = 0; i < n; i++)
        if (iov[i].iov_len) send->iov[send->count++] = iov[i];
    if (send->count == 0) return 0;
    s->sending_from = send->iov[0].iov_base;
    io_send_start(s->io, send);
    return await_write(scope, s, &send->op);
}

int stream_write(struct scope *scope, struct stream *s, const void *data, size_t size)
{
    const char *at = data;
    int err;
    do {
        struct iovec part = {(void *)(uintptr_t)at, size < SEND_MAX ? size : SEND_MAX};
        err = stream_send(scope, s, &part, 1);
        at += part.iov_len;
        size -= part.iov_len;
    } while (err == 0 && size > 0);
    return err;
}

int stream_shutdown(struct scope *scope, struct stream *s)
{
    int refused = write_refused(scope, s);
    if (refused) return refused;
    s->call = (struct io_call){.op = {.fn = on_shut}, .sock = {&s->sock}};
    io_call_start(s->io, &s->call, IO_SHUTDOWN);
    return await_write(scope, s, &s->call.op);
}

/* ---- the end ---- */

static void on_closed(struct io *io, struct io_op *op, int res, bool more)
{
    struct stream *s = stream_of_call(op);
    (void)io, (void)res, (void)more;
    s->closed = true;
    schedule(s); /* the task may be queued already, so the task frees the stream */
}

static void continue_close(struct io_task *t)
{
    struct stream *s = container_of(t, struct stream, task);
    if (s->closed) {
        free(s);
        return;
    }
    io_cancel(s->io, &s->sock.recv);
    io_cancel(s->io, &s->send.op);
    if (io_busy(&s->sock.recv) || io_busy(&s->send.op) || io_busy(&s->call.op)) return;
    s->call = (struct io_call){.op = {.fn = on_closed}, .sock = {&s->sock}};
    io_call_start(s->io, &s->call, IO_CLOSE_SOCK);
}

static void tell_reader(struct stream *s)
{
    struct stream_reader *r = s->reader;
    s->reader = NULL;
    if (!r) return;
    r->closed = true;
    wait_overrule(&r->wait, -EBADF);
}

void stream_close(struct stream *s)
{
    ASSERT(!s->closing);
    s->closing = true;
    free_unread(s);
    tell_reader(s);
    if (s->writer && s->writer->wait.woken) tell_writer(s);
    schedule(s);
}

/* ---- the beginning ---- */

int stream_adopt(struct io *io, int fd, struct stream **out)
{
    struct stream *s = malloc(sizeof *s);
    if (!s) return -ENOMEM;
    *s = (struct stream){.io = io, .task = {.fn = continue_close}};
    int err = io_sock_init(io, &s->sock, fd, false, on_recv);
    if (err < 0) {
        free(s);
        return err;
    }
    update_recv(s);
    *out = s;
    return 0;
}
