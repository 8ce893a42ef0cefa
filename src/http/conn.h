#pragma once
/* A client's connection: its socket, unread input, unsent output, deadlines, and its end. It does
 * not know what the bytes mean; its protocol does (protocol.h).
 *
 * It ends in stages, so that nothing is closed while an operation is in flight:
 *   OPEN      requests are served
 *
 *   LINGER    the last response has been sent and the sending side is shut down; input is read and
 *             discarded, so that no reset destroys the response on its way (RFC 9112, 9.6). It ends
 *             with the client's stream, after LINGER_IDLE without a byte, or at the bounds below.
 *
 *   CLOSING   waits until the handler has returned and recv and send have completed, then closes
 *             the socket
 *
 *   CLOSED    the memory is freed */

#include "http/context.h"
#include "http/protocol.h"
#include "http/send_queue.h"
#include "http/spill.h"
#include "task/scope.h"

#define LINGER_IDLE (2 * NS_PER_S)
#define LINGER_TIME (30 * NS_PER_S)

enum { LINGER_BYTES = 256 << 20 };

enum conn_state { CONN_OPEN, CONN_LINGER, CONN_CLOSING, CONN_CLOSED };

/* Five cache lines: there may be thousands of idle ones. */
struct conn {
    struct io_sock sock;
    struct http_context *ctx;
    const struct protocol *protocol;
    void *exchange;      /* state of the protocol; NULL between requests */
    struct list link;    /* in ctx->open */
    struct io_task task; /* work at the end of the turn */
    struct wheel_timer timer;
    uint64_t read_deadline;  /* ns; WHEEL_NEVER: none */
    uint64_t write_deadline; /* of a send: see send_pace.c; in LINGER, of the state as a whole */
    struct send_queue unsent;
    slice unread; /* received but not consumed: in the leased buffer or in the spill buffer */
    struct spill *spill;        /* spill buffer: input kept beyond its lease; or NULL */
    uint8_t state;              /* enum conn_state */
    bool eof;                   /* the client has ended its stream */
    bool close_after_response;  /* no further request is served; close when everything is sent */
    bool linger : 1;            /* before closing, discard input that may still arrive */
    bool ended : 1;             /* the client has ended its stream, perhaps behind unread bytes */
    bool refused : 1;           /* it is one of http_context.refused */
    bool used : 1;              /* a request has begun on it */
    bool stuck : 1;             /* conn_probe found no progress */
    bool evicted : 1;           /* it was closed to make room */
    bool limited : 1;           /* each request is checked: its visitor, and `yields` */
    bool yields : 1;            /* the next response is its last: others wait for it to close */
    bool corked;                /* hold back output until more is added, or some taken back */
    bool resume;                /* call the protocol's input at the end of the turn */
    bool want_recv;             /* the recv stream should run */
    bool awaits_sent : 1;       /* a `writer` waits, or else the protocol until all is sent */
    bool timed : 1;             /* a send has waited for the client: count for how long they do */
    bool too_slow : 1;          /* it was aborted for --min-read-rate */
    bool brief : 1;             /* lingers for no more than a moment, unless something comes */
    bool direct : 1;            /* receive into memory of the protocol, in place of the stream */
    struct conn_writer *writer; /* fibers that wait for output to be sent (conn_wait.c) */
    union {
        int64_t unacked;   /* unacknowledged when last asked, plus bytes sent since */
        int64_t discarded; /* in LINGER: bytes */
    };
    struct io_call call;     /* IO_UNACKED, IO_SHUTDOWN, IO_CLOSE_SOCK */
    struct visitor *visitor; /* of its client; NULL unless something asks for that */
    struct record *recorded; /* of its last request, if that record tells when it had sent all */
};

/* Starts a connection on an accepted socket. NULL if that failed: the socket is closed. */
struct conn *conn_open(struct http_context *ctx, int fd, const struct protocol *protocol);

/* Ends the connection at once, without sending the unsent output. Waits of its request return
 * `err`. */
void conn_abort(struct conn *c, int err);

/* The same, where the caller has told why on stderr. */
void conn_abort_told(struct conn *c, int err);

/* The same, because the server stops. */
void conn_stop(struct conn *c);

/* Whether to receive into memory of the protocol (protocol.h) in place of the stream, from the end
 * of the turn on. What the stream has received comes first. */
static inline void conn_set_direct(struct conn *c, bool direct)
{
    c->direct = direct;
    if (direct) c->want_recv = false; /* otherwise it may again, which process_input finds out */
}

/* Asks the socket of a connection that sends how many bytes the client has acknowledged since it
 * was last asked: `stuck` says if none. A client that takes too little is cut off. Does not wait.
 */
void conn_probe(struct conn *c);

/* How long after its begin, or after the last question, a send is asked for. ns. */
uint64_t conn_probe_pause(const struct http_limits *l);

/* When the client was last seen to take something, or the send began. ns; only while one is in
 * flight. */
uint64_t conn_progressed_at(const struct conn *c);

/* Counts the time that a send has waited which has completed. For c->timed. */
void conn_count_wait(struct conn *c);

static inline struct conn *conn_of_call(struct io_op *op)
{
    return container_of(container_of(op, struct io_call, op), struct conn, call);
}

/* Starts c->call, which is not busy. */
static inline void conn_start_call(struct conn *c, enum io_kind kind, io_fn *fn)
{
    c->call.op.fn = fn;
    c->call.sock.sock = &c->sock;
    io_call_start(c->ctx->io, &c->call, kind);
}

/* Stops serving requests: the connection closes once its output has been sent. Input, present or
 * future, is discarded; `linger`: more may arrive. */
void conn_begin_close(struct conn *c, bool linger);

/* Has the protocol's input called when all output has been sent. No fiber waits for that. */
static inline void conn_await_sent(struct conn *c)
{
    c->awaits_sent = true;
}

/* ---- fibers that wait until output is sent (conn_wait.c) ---- */

/* Whether a fiber is in conn_wait_sent: no other may write. */
bool conn_is_written(const struct conn *c);

/* Parks the running fiber until fewer than `below` bytes are unsent. `by_ref`: NULL, or the number
 * of the last bytes, some of which are by reference; then it does not return while a send may still
 * read them. If the scope ends it, or the kernel could not read some, those of them that have not
 * left are dropped, and *by_ref is the number of the others. 0; the number of the last bytes that
 * cannot be sent as pages of their file, and are dropped; -EFAULT if the kernel could not read
 * some; -EBUSY if another fiber waits already; or the scope's error. */
int conn_wait_sent(struct conn *c, struct scope *scope, size_t below, size_t *by_ref);

/* Likewise, for a fiber that any number of others may join, and that keeps none from adding to the
 * output meanwhile. 0, or the scope's error. */
int conn_wait_room(struct conn *c, struct scope *scope, size_t below);

/* Some of the output was taken back. */
void conn_took_back(struct conn *c);

/* For conn.c: a send has failed, or has sent something for which somebody waits. */
void conn_send_failed(struct conn *c, int err);
void conn_send_went_on(struct conn *c);

/* ---- for others of http/ ---- */

/* Of a connection that is refused, before it is freed. */
void http_forget_refused(struct conn *c);

/* Sends 503 with Retry-After to a client before it has asked, and begins to close. One that lingers
 * comes on top of the limit of connections, see http_refuse. */
void http_tell_refused(struct conn *c, bool linger);

/* Counts its visitor among the connections of that client, who may have too many: then it is
 * refused. Whether it goes on. */
bool conn_admit(struct conn *c);

/* Schedules the connection's end-of-turn work: input, output, deadlines. */
static inline void conn_schedule(struct conn *c)
{
    io_defer(c->ctx->io, &c->task);
}

/* Schedules a call of the protocol's input at the end of the turn. */
static inline void conn_resume(struct conn *c)
{
    c->resume = true;
    conn_schedule(c);
}

/* Whether the client will send nothing more: it has closed, reset, or shut down its sending side.
 */
static inline bool conn_client_ended(const struct conn *c)
{
    return c->eof || c->ended || c->state != CONN_OPEN;
}

/* The server drains: the connection ends when its current request is done, or the next one if that
 * comes soon. */
void conn_drain(struct conn *c);

/* In a drain: until when a connection without a request may begin one. ns. */
uint64_t conn_drain_until(const struct conn *c);

/* Closes a connection of whose next request nothing has come. */
void conn_close_idle(struct conn *c);

/* A send has completed. For http_context.on_sent; the second one where there is a recorder. */
void conn_on_sent(struct io *io, struct io_op *op, int res, bool more);
void conn_on_sent_recorded(struct io *io, struct io_op *op, int res, bool more);
