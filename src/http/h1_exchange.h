#pragma once
/* One HTTP/1.x request and its response; shared by h1.c, which leads it from head to end,
 * h1_body.c, which reads its body, and h1_response.c, which writes. */

#include "http/conn.h"
#include "http/h1_parser.h"
#include "http/request.h"

/* In a drain, the time to complete for a request that is incomplete, and to wait for its handler.
 */
#define DRAIN_TIMEOUT (NS_PER_S / 2)

/* At most this many bytes of an unread body are discarded; beyond, the connection is closed. */
enum { DISCARD_MAX = 256 * 1024 };

enum h1_state {
    H1_HEAD,    /* the head is not complete */
    H1_QUEUED,  /* it waits until fewer requests are in progress */
    H1_HANDLER, /* a handler is running */
    H1_DISCARD, /* response complete; the unread rest of the body is discarded */
    H1_SENDING, /* response complete, or given up; what is large, or in a send, leaves first */
    H1_DONE,    /* response complete; about to end */
};

struct h1_exchange {
    struct torc_req rq;
    struct conn *conn;
    struct h1_reader *reader; /* a fiber that waits for body bytes, or NULL */
    uint8_t state;            /* enum h1_state */
    bool returned;            /* the handler has returned */
    bool counted;             /* counted as in progress */
    bool begun;               /* the head was incomplete, and its clock runs */
    uint32_t head_kept;       /* where it has begun: bytes that count for the incomplete head */
    uint64_t framing;         /* of a response in parts: bytes of its head and around its chunks */
    uint64_t taken_back;      /* of a response that was given up: bytes that were unsent */
    uint64_t wait_began;      /* io time of `reader` */
    uint64_t late_before;     /* io->late then */
    uint64_t body_waited;     /* ns that readers have waited for the client before */
    uint64_t body_rate;       /* bytes per second that the client must send of the body; 0: any */
    uint64_t body_grace;      /* ns that it may take longer; both since its first read */
    uint64_t body_read;       /* H1_DISCARD: bytes of the body that had been read before */
    struct list queued;       /* in http_context.queue while H1_QUEUED */
    struct h1_parser parser;
};

static inline struct h1_exchange *h1_exchange_of(struct torc_req *rq)
{
    return container_of(rq, struct h1_exchange, rq);
}

/* struct exchange_ops.handler_returned. */
static inline void h1_handler_returned(struct torc_req *rq)
{
    struct h1_exchange *x = h1_exchange_of(rq);
    struct conn *c = x->conn;
    x->returned = true;
    conn_resume(c);
}

/* Has a request end once all output is sent; its handler has returned. */
static inline void h1_await_sent(struct h1_exchange *x)
{
    struct conn *c = x->conn;
    x->state = H1_SENDING;
    conn_set_direct(c, false);
    c->read_deadline = WHEEL_NEVER;
    conn_await_sent(c);
}

/* Whether no request has begun: at most empty lines have come. */
static inline bool h1_is_idle(const struct h1_exchange *x)
{
    return !x || (x->state == H1_HEAD && !x->begun);
}

/* Whether it is known that more of the body is to come than is discarded. */
static inline bool h1_leaves_much(const struct h1_exchange *x)
{
    const struct head *h = &x->rq.head;
    return !h->chunked && h->content_length - x->parser.data_bytes > DISCARD_MAX;
}

extern const struct exchange_ops h1_exchange_ops;

/* struct exchange_ops.peer and is_secure. */
slice h1_peer(const struct torc_req *rq);
bool h1_is_secure(const struct torc_req *rq);

/* struct exchange_ops.read. */
ssize_t h1_read(struct torc_req *rq, void *buf, size_t size);

/* Delivers body bytes to the waiting fiber. After the client's end of stream the body can no longer
 * be completed. */
void h1_deliver_body(struct h1_exchange *x);

/* See struct protocol: where a waiting fiber wants the bytes of a long body. */
slice h1_room(const struct conn *c);
void h1_received(struct conn *c, int res);

/* The waiting fiber has waited for too long: its wait ends, and its request with 408. */
void h1_expire_reader(struct h1_exchange *x);

/* Ends the waiting fiber's wait. */
void h1_wake_reader(struct h1_exchange *x, ssize_t result);

/* Records that the body failed: unless the handler responds otherwise, the response is `status`. */
void h1_fail_body(struct h1_exchange *x, int status);

/* Counts a request whose handler cannot start for `err`, and tells the operator. */
void h1_count_rejected(const struct h1_exchange *x, int err);

/* What an incomplete head takes counts as unread input, until it is released: the head goes on, or
 * the request ends. */
void h1_keep_head(struct h1_exchange *x);
void h1_release_head(struct h1_exchange *x);
size_t h1_head_kept(const struct conn *c); /* struct protocol.head_kept */

/* Has a request wait for its handler. False if as many as --queue do. */
bool h1_queue_add(struct h1_exchange *x);

/* It leaves the queue, as its time has passed, or as its client has gone. */
void h1_queue_expire(struct h1_exchange *x);
void h1_queue_abandon(struct h1_exchange *x);

/* Starts the handler of a request that waits. -EAGAIN: it waits on; 0; or any other negative errno,
 * and no handler will run: then, too, it has left the queue. */
int h1_queue_start(struct h1_exchange *x);

/* Checks a request whose head is complete against the limits of its connection. 0, or the status to
 * respond with; the response may be there already. */
int h1_limit(struct h1_exchange *x);

/* See struct protocol.waiting_since. */
uint64_t h1_waiting_since(const struct conn *c);

/* The limits of its core change `from` these `to` those: what the connection waits for is timed by
 * the new ones. A body that a handler reads keeps its own. */
void h1_retime(struct conn *c, const struct http_limits *from, const struct http_limits *to);

/* Ends a request whose response is complete, once the rest of an unread body is discarded. */
void h1_request_done(struct h1_exchange *x);

/* Responds in place of a handler, and ends the request. */
void h1_respond_error(struct h1_exchange *x, int status);

/* Responds to a head that could not be parsed; nothing after it can be trusted. */
void h1_reject_head(struct h1_exchange *x, int status);

/* Ends a request with its connection. */
void h1_abort(struct h1_exchange *x);

/* struct exchange_ops.cancel. */
void h1_give_up(struct torc_req *rq, int err);

/* Ends a request that was given up, and whose handler has returned, and begins to close, once what
 * is in a send of its response has left. Whether it was. */
bool h1_end_given_up(struct h1_exchange *x);

/* struct protocol.timeout. */
void h1_timeout(struct conn *c);

/* The writing half of struct exchange_ops. */
int h1_respond(struct torc_req *rq, slice body);
int h1_write(struct torc_req *rq, const void *data, size_t size);
int h1_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
int h1_write_ref(struct torc_req *rq, slice bytes, const struct file_place *place);
int h1_write_owned(struct torc_req *rq, slice body, struct body_owner owner);
void h1_take_back(struct torc_req *rq, int err);
int h1_interim(struct torc_req *rq, int status, slice lines);
int h1_end(struct torc_req *rq);
