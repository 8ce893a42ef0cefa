#pragma once
/* A request and its response: what a handler sees as torc_req. It does not know how they travel:
 * its exchange reads the body and puts the response on the wire. */

#include "base/arena.h"
#include "http/context.h"
#include "http/exchange.h"
#include "http/head.h"
#include "http/method.h"
#include "http/router.h"
#include "http/target.h"
#include "task/scope.h"

struct response {
    int status;     /* 0: none yet */
    slice type;     /* Content-Type, or absent */
    int64_t length; /* of the body; -1: not known */
    char *fields;   /* further field lines, with their line ends */
    uint32_t fields_len, fields_cap;
    bool streamed; /* the body follows by write */
    bool ended;
    uint64_t written; /* body bytes given so far */
};

enum { REQUEST_INLINE = 2048 };

struct torc_req {
    const struct exchange_ops *exchange;
    struct http_context *ctx;
    struct scope scope;
    struct response response;
    const struct route *route;
    struct target target;
    slice host;
    uint64_t arrived;          /* io time of the turn that brought its first byte */
    int failed;                /* status for what went wrong while the body was read; 0 */
    bool close_after_response; /* its connection carries no further request */
    bool expect_continue;      /* and 100 (Continue) has not been sent */
    struct list files;         /* opened and not closed by the handler */
    struct torc_group *groups; /* opened by the handler, newest first */
    struct route_match match;
    struct arena arena;
    struct head head;
    char inline_text[REQUEST_INLINE / 2]; /* for the text of the head to begin with */
    _Alignas(max_align_t) char inline_memory[REQUEST_INLINE / 2];
};

void request_init(struct torc_req *rq, struct http_context *ctx,
                  const struct exchange_ops *exchange);

/* Frees what the request holds; every fiber of it has returned. */
void request_end(struct torc_req *rq);

/* Once the head is complete: fills in target, host and body, and finds the route. Returns 0, or the
 * status that answers the request in place of a handler. */
int request_accept(struct torc_req *rq);

/* Whether the response has a body: none do 1xx, 204, 304 and any to HEAD (RFC 9110, 6.4.1). */
static inline bool request_gets_body(const struct torc_req *rq)
{
    int status = rq->response.status;
    return rq->head.method != HTTP_HEAD && status != 204 && status != 304;
}
