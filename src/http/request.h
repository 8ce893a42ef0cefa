#pragma once
/* A request and its response; handlers see it as torc_req. It does not know how it travels: its
 * exchange reads the body and sends the response. */

#include "base/arena.h"
#include "http/context.h"
#include "http/exchange.h"
#include "http/head.h"
#include "http/method.h"
#include "http/router.h"
#include "http/target.h"
#include "task/scope.h"

#include <errno.h>

struct response {
    int status;     /* 0: none yet */
    int error;      /* of the last attempt to respond, where it failed; or 0 */
    const char *of; /* the call of the program that had this error instead; or NULL */
    slice type;     /* Content-Type, or absent */
    int64_t length; /* of the body; -1: unknown */
    char *fields;   /* additional field lines, each with CRLF */
    uint32_t fields_len, fields_cap;
    bool streamed;    /* the body follows by torc_write */
    bool in_parts;    /* queued in several parts: streamed, or large */
    bool ended;       /* nothing more is written */
    bool whole;       /* streamed, and its end is queued */
    bool incomplete;  /* its body will never be complete */
    bool excess;      /* more was refused than its length has */
    bool type_field;  /* a field added may be Content-Type */
    bool writing;     /* a fiber does: no other may between its pieces */
    bool revocable;   /* who began it can do with another, while nothing of it has left */
    bool reads_done;  /* who began it reads nothing more of the request's body */
    bool trailers;    /* the fields are those that follow the body */
    bool unquoted;    /* torc_json_quote lacked memory */
    bool given_up;    /* while a part of it was unsent: that never leaves */
    uint64_t written; /* body bytes that the exchange took so far */
};

/* Where a request spends its time; in ns of clock_ns. See observe.h. */
struct spent {
    uint64_t head;     /* the turn in which its head was complete began */
    uint64_t started;  /* its handler started; 0: not yet */
    uint64_t taken_up; /* its code was begun or resumed last */
    uint64_t ran;      /* sum of the times that its code ran before that */
    uint32_t id;       /* the number of its first record */
    bool noted;        /* it has one */
    bool on_core;      /* its code runs */
    bool replied;      /* the recorder knows of its response */
};

enum { REQUEST_INLINE = 2048 };

struct chain;
struct value;

struct torc_req {
    const struct exchange_ops *exchange;
    struct http_context *ctx;
    struct scope scope;
    struct response response;
    const struct route *route;
    struct target target;
    slice host;
    uint64_t arrived;         /* io time of the turn in which its first byte arrived */
    int cancelled;            /* 0, or why nothing more can be sent: a negative errno */
    int body_err;             /* a part of the body is lost: the result of all that read on; or 0 */
    uint16_t failed : 14;     /* status unless the handler gives another; or 0 */
    uint16_t body_failed : 1; /* a read of the body has failed */
    uint16_t body_taken : 1;  /* see request_take_body */
    uint16_t refused;         /* set where the route is router_refusal: the status */
    bool close_after_response; /* no further request on this connection */
    uint64_t max_body;         /* bytes; set if a body follows, and kept; */
    uint64_t body_timeout;     /* ns: likewise */
    bool expect_continue;      /* 100 (Continue) is expected and has not been sent */
    bool observed;             /* `spent` is in use */
    struct list resources;     /* struct request_resource: what the handler has open */
    struct value *values;      /* torc_set */
    struct torc_group *groups; /* groups of the handler, newest first */
    struct asker *askers;      /* who waits in torc_await */
    struct route_match match;
    const struct chain *chain; /* set while the route runs middleware: what is to run, */
    uint32_t chain_at;         /* how much of it has begun, */
    bool passed_on;            /* and whether torc_next was called */
    struct spent spent;
    struct arena arena;
    struct head head;
    char inline_text[REQUEST_INLINE / 2]; /* first memory for head.text */
    _Alignas(max_align_t) char inline_memory[REQUEST_INLINE / 2];
};

/* What a handler has open, such as a file: released when it returns, if not before. */
struct request_resource {
    struct list link; /* in torc_req.resources */
    void (*release)(struct request_resource *r);
};

static inline void request_hold(struct torc_req *rq, struct request_resource *r,
                                void (*release)(struct request_resource *r))
{
    r->release = release;
    list_init(&r->link);
    list_push(&rq->resources, &r->link);
}

void request_release_all(struct torc_req *rq);

void request_init(struct torc_req *rq, struct http_context *ctx,
                  const struct exchange_ops *exchange);

/* Frees memory of the request; all its fibers must have returned. */
void request_end(struct torc_req *rq);

/* Notes that a read of the body failed: the response is `status`, unless the handler gives another;
 * and one that it has begun, and does not end, is cut off. Returns `err`. */
static inline int request_fail_body(struct torc_req *rq, int err, unsigned status)
{
    rq->failed = status & 0x3fff;
    rq->body_failed = true;
    return err;
}

/* For a call that reads the body: it has the body for itself from here to request_leave_body, also
 * while it waits for something else, and until its fiber has resumed. 0; what refuses the wait;
 * -EBUSY; or `body_err`. */
int request_take_body(struct torc_req *rq);

static inline void request_leave_body(struct torc_req *rq)
{
    rq->body_taken = false;
}

/* torc_body_read, for a call that has taken the body. */
ssize_t request_read_body(struct torc_req *rq, void *buf, size_t size);

/* Cancels the request, as when its client has gone: nothing more is sent, and every wait ends. */
void request_cancel(struct torc_req *rq, int err);

/* The scope in which the running fiber waits; NULL if it is none of the request's. */
static inline struct scope *request_scope(const struct torc_req *rq)
{
    struct scope *s = scope_running(&rq->ctx->fibers);
    return s && s->user == rq ? s : NULL;
}

/* Whether an error of torc_body_read ended no more than the wait: that of the running fiber's
 * scope, or another fiber reads. Nothing of the body is lost then, and it may be read on. */
static inline bool request_reads_on(const struct torc_req *rq, ssize_t err)
{
    return err == -EBUSY || err == request_scope(rq)->cancelled;
}

/* Of a request whose head is malformed, incomplete or has not been looked at, nobody knows path,
 * host or route. What was there is that of an earlier request, which is freed. */
void request_forget(struct torc_req *rq);

/* Likewise, before a head is rejected with `status`; with 501 its path is known where the request
 * line has come as a whole. */
void request_reject_head(struct torc_req *rq, int status);

/* Call when the head is complete: checks it, fills in target and host, and finds the route. Returns
 * 0, or the status to respond with instead of calling a handler. */
int request_accept(struct torc_req *rq);

/* Of the route of a request; see request_pattern. */
slice request_pattern_of(const struct router *r, const struct route *route);

/* The pattern of its route, or "torc_every" for a request without a client; absent before it has a
 * route. Async-signal-safe. */
slice request_pattern(const struct torc_req *rq);

enum { REQUEST_ROUTE = 120 };

/* The method and the pattern, for messages; cut to fit. Async-signal-safe. */
void request_route(const struct torc_req *rq, char out[REQUEST_ROUTE]);

/* The same of a request that may have ended since: what it points to stays while the server runs.
 */
struct request_label {
    const struct router *router;
    const struct route *route;
    int method; /* enum http_method, or -1 */
};

struct request_label request_label(const struct torc_req *rq);
void request_label_put(const struct request_label *l, char out[REQUEST_ROUTE]);

/* 204, 205 and 304 have no content (RFC 9110, 6.4.1 and 15.3.6); 1xx are never sent this way. */
static inline bool status_has_content(int status)
{
    return LIKELY(status == 200) || (status - 204u > 1 && status != 304);
}

/* Grows the memory of a body at *p from `size` bytes by `more`. It counts as --request-memory only
 * where that limits bodies, too. 0; -EMSGSIZE or -ENOMEM, with the response that fits. */
int request_grow_body(struct torc_req *rq, char **p, size_t size, size_t more);

/* Whether the response has a body; one to HEAD has none. */
static inline bool request_gets_body(const struct torc_req *rq)
{
    return rq->head.method != HTTP_HEAD && status_has_content(rq->response.status);
}
