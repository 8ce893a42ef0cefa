#pragma once
/* A client's connection: its socket, its unread input and unsent output, its deadlines, and its
 * end. What the bytes mean is its protocol's matter.
 *
 * It ends in stages, so that nothing is closed under an operation in flight:
 *   OPEN     requests are served
 *   LINGER   the last response has left and the sending side is shut; input is read and dropped,
 *            so that no reset destroys the response on its way (RFC 9112, 9.6)
 *   CLOSING  handlers, the recv and the send in flight come home, then the socket is closed
 *   CLOSED   its memory goes back */

#include "http/context.h"
#include "http/protocol.h"
#include "http/send_queue.h"
#include "task/scope.h"

enum conn_state { CONN_OPEN, CONN_LINGER, CONN_CLOSING, CONN_CLOSED };

/* Five cache lines, and thousands of them idle. */
struct conn {
    struct io_sock sock;
    struct http_context *ctx;
    const struct protocol *protocol;
    void *exchange;      /* the protocol's own; NULL between requests */
    struct list link;    /* in ctx->open */
    struct io_task task; /* what is left to do at the end of the turn */
    struct wheel_timer timer;
    uint64_t read_deadline, write_deadline; /* ns; WHEEL_NEVER for none */
    struct send_queue unsent;
    slice unread;               /* received and not used: in the leased buffer or in the spill */
    struct conn_spill *spill;   /* NULL, or where input is kept beyond its lease */
    uint8_t state;              /* enum conn_state */
    bool eof;                   /* the client will send no more */
    bool close_after_response;  /* no further request is served; it closes when all is sent */
    bool linger;                /* input may still come that nobody reads */
    bool corked;                /* the output is not complete enough to be sent */
    bool resume;                /* the protocol has something to do at the end of the turn */
    bool want_recv;             /* the recv stream is to run */
    struct conn_writer *writer; /* NULL or a fiber that waits for output to leave */
    int64_t unacked; /* bytes that the client had not acknowledged when the socket was last asked,
                      * and those sent since */
    struct io_call call; /* that question; shutdown; close */
    char *peer;          /* the client's address, where ctx->want_peer; malloc'ed */
};

/* Takes over an accepted socket. */
void conn_open(struct http_context *ctx, int fd, const struct protocol *protocol);

/* Ends the connection without sending what is unsent; waits in it return `err`. */
void conn_abort(struct conn *c, int err);

/* No request is served from here on: the connection closes once its output has left. Input that
 * there is, or comes, is dropped; `linger` where some may still come. */
void conn_begin_close(struct conn *c, bool linger);

/* Parks the running fiber until less than `below` bytes are unsent. `by_ref`: some of them are
 * referenced, and it does not go on while a send may still read them. 0; -EBUSY when another one
 * waits; or the scope's error. */
int conn_wait_sent(struct conn *c, struct scope *scope, size_t below, bool by_ref);

/* Has the connection's end-of-turn work done: input taken, output sent, deadlines set. */
static inline void conn_schedule(struct conn *c)
{
    io_defer(c->ctx->io, &c->task);
}

/* Has the protocol's input called at the end of the turn. */
static inline void conn_resume(struct conn *c)
{
    c->resume = true;
    conn_schedule(c);
}

/* The server drains: no new requests; connections end when what is under way is done. */
void conn_drain(struct conn *c);
