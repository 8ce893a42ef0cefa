#include "exchange.h"

#include "tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, PIECE = 64 * 1024 };

struct live {
    const struct wire_case *c;
    struct split split;
    struct outcome *o;
    int fd;
    unsigned step;  /* current step; the probe follows the last one */
    size_t at;      /* bytes of it already sent */
    size_t piece;   /* unsent bytes of the current piece; 0 for none */
    size_t awaited; /* normalised bytes that must arrive before the client continues */
    bool refuses;   /* the server accepts no more */
};

static bool is_there(const struct live *l)
{
    struct bytes seen = {0};
    answer_normalise(l->c, bytes_slice(&l->o->raw), &seen);
    bool there = seen.len >= l->awaited;
    free(seen.ptr);
    return there;
}

/* The bytes to send next, skipping completed steps; absent if the client only reads. */
static slice current(struct live *l)
{
    for (; l->step < l->c->n_steps; l->step++, l->at = 0) {
        const struct step *s = &l->c->step[l->step];
        if (s->kind == STEP_OUT) {
            if (l->at == 0) l->awaited += s->bytes.len;
            l->at = 1;
            if (!is_there(l)) return (slice){0};
        } else if (s->kind == STEP_HALF_CLOSE) {
            tcp_shut(l->fd);
        } else if (l->at < s->bytes.len) {
            return bytes_slice(&s->bytes);
        }
    }
    return l->c->open && l->step == l->c->n_steps && l->at < probe_in.len ? probe_in : (slice){0};
}

void exchange_live_prepare(void)
{
    cpu_set_t set, one;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return;
    /* A different CPU for each test that runs now. */
    int skip = getpid() % CPU_COUNT(&set), cpu = 0;
    while (!CPU_ISSET(cpu, &set) || skip-- > 0) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Sends pieces until the socket is full, one send each. The server, on the same CPU, runs between
 * them; otherwise the kernel would merge the pieces. */
static void send_some(struct live *l, slice s)
{
    while (l->at < s.len) {
        if (l->piece == 0) l->piece = split_next(&l->split, l->at, s.len);
        ssize_t n = send(l->fd, s.ptr + l->at, l->piece, MSG_NOSIGNAL);
        if (n < 0) {
            l->refuses = errno != EAGAIN && errno != EINTR;
            return;
        }
        l->at += (size_t)n;
        l->piece -= (size_t)n;
        if (l->piece == 0 && l->at < s.len) sched_yield();
    }
}

/* Receives; false at the end of the stream. */
static bool receive(struct live *l)
{
    char buf[PIECE];
    ssize_t n = tcp_try_receive(l->fd, buf, sizeof buf);
    if (n > 0) bytes_add(&l->o->raw, slice_of(buf, (size_t)n));
    if (n == 0) l->o->closed = true;
    if (n == -EAGAIN) return true;
    if (n == -ECONNRESET && l->c->loose_reset)
        l->o->closed = true;
    else if (n < 0)
        l->o->problem = "the server reset the connection";
    return n > 0;
}

static int connect_to(const struct server_addr *addr)
{
    int fd = tcp_connect(&addr->sa, addr->len);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void exchange_live(const struct server_addr *addr, const struct wire_case *c, struct split split,
                   struct outcome *o)
{
    *o = (struct outcome){0};
    struct live l = {.c = c, .split = split, .o = o, .fd = connect_to(addr)};
    for (;;) {
        slice s = l.refuses ? (slice){0} : current(&l);
        struct pollfd p = {.fd = l.fd, .events = (short)(s.ptr ? POLLIN | POLLOUT : POLLIN)};
        if (poll(&p, 1, PATIENCE_MS) <= 0) {
            o->problem = "nothing came any more, and the connection was not closed";
            break;
        }
        /* Read first: sending to a socket that the server closed would turn its end of stream into
         * an error. */
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
            if (!receive(&l)) break;
        } else if (s.ptr) {
            send_some(&l, s);
        }
    }
    close(l.fd);
}
