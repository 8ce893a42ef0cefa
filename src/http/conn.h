#pragma once
/* A client's connection: its socket, its unread input and unsent output, its deadlines, and its
 * end. What the bytes mean is HTTP/1.1's matter (h1.h).
 *
 * It ends in stages, so that nothing is closed under an operation in flight:
 *   OPEN     requests are served
 *   LINGER   the last answer has left and the sending side is shut; input is read and dropped, so
 *            that no reset destroys the answer on its way (RFC 9112, 9.6)
 *   CLOSING  the handler, the recv and the send in flight come home, then the socket is closed
 *   CLOSED   its memory goes back */

#include "http/context.h"
#include "http/request.h"
#include "http/send_queue.h"

enum conn_state { CONN_OPEN, CONN_LINGER, CONN_CLOSING, CONN_CLOSED };

/* A fiber that waits for bytes of the body; on its stack. */
struct conn_reader {
    struct wait wait;
    char *buf;
    size_t size;
};

/* A fiber that waits for output to leave; on its stack. */
struct conn_writer {
    struct wait wait;
    size_t below; /* unsent bytes at which it goes on */
    bool lent;    /* some of them are lent: it cannot go on while a send may still read them */
};

struct conn_spill {
    size_t cap;
    char bytes[];
};

/* Five cache lines, and thousands of them idle. */
struct conn {
    struct io_sock sock;
    struct http_context *core;
    struct list link;    /* in core->open */
    struct torc_req *rq; /* NULL between requests */
    struct io_task task; /* what is left to do at the end of the turn */
    struct wheel_timer timer;
    uint64_t read_deadline, write_deadline; /* ns; WHEEL_NEVER for none */
    struct send_queue out;
    slice in;                   /* received and not used: in the leased buffer or in the spill */
    struct conn_spill *spill;   /* NULL, or where input is kept beyond its lease */
    uint8_t state;              /* enum conn_state */
    bool eof;                   /* the client will send no more */
    bool last;                  /* no further request is served */
    bool linger;                /* input may still come that nobody reads */
    bool corked;                /* the output is not complete enough to be sent */
    bool discarding;            /* the rest of a body that the handler did not read is dropped */
    bool want_recv;             /* the recv stream is to run */
    struct conn_reader *reader; /* NULL or a fiber that waits for input */
    struct conn_writer *writer; /* NULL or a fiber that waits for output to leave */
    int64_t given;       /* bytes that the client had not taken when the socket was last asked, and
                          * those given to it since */
    struct io_call call; /* that question; shutdown; close */
    char *peer;          /* the client's address, where core->want_peer; malloc'ed */
};

/* Takes over an accepted socket. */
void conn_open(struct http_context *core, int fd);

/* Ends the connection without sending what is unsent; waits in it return `err`. */
void conn_abort(struct conn *c, int err);

/* Parks the running fiber of the connection's request until less than `below` bytes are unsent. 0;
 * -EBUSY when another one waits; or the scope's error. */
int conn_wait_sent(struct conn *c, size_t below, bool lent);

/* Has conn's end-of-turn work done: output sent, a finished request ended, deadlines set. */
static inline void conn_schedule(struct conn *c)
{
    io_defer(c->core->io, &c->task);
}

/* Drain: no new requests; connections end when what they are at is done. */
void conn_drain_all(struct http_context *core);

/* The drain has taken too long: all end now. */
void conn_abort_all(struct http_context *core);
