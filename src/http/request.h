#pragma once
/* A request and its response: what a handler sees as torc_req. It does not know how they travel; a
 * carrier, such as HTTP/1.1, reads the body and puts the response on the wire. */

#include "http/context.h"
#include "http/h1_parser.h"
#include "http/method.h"
#include "http/router.h"
#include "http/target.h"
#include "task/group.h"

struct torc_req;

/* Each may wait, and runs on a fiber of the request. */
struct exchange_ops {
    /* torc_body_read. */
    ssize_t (*read)(struct torc_req *rq, void *buf, size_t size);
    /* The head, and with it the whole `body` unless the response is streamed. 0 or -ENOMEM. */
    int (*respond)(struct torc_req *rq, slice body);
    /* One piece of a streamed body; torc_write. */
    int (*write)(struct torc_req *rq, const void *data, size_t size);
    /* The bytes of a file, as a piece of a streamed body; fails where the file is too short. */
    int (*write_file)(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
    /* The same for bytes in memory that is not copied: they have been sent, or never will be, when
     * it returns. -EIO where the kernel could not read them. */
    int (*write_ref)(struct torc_req *rq, const void *bytes, size_t size);
    /* The end of a streamed body. */
    int (*end)(struct torc_req *rq);
};

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
    struct http_context *core;
    struct conn *conn;
    struct scope scope;
    struct response response;
    const struct route *route;
    struct target target;
    slice host;
    uint64_t arrived; /* io time of the turn that brought its first byte */
    int failed;       /* status for what went wrong while the body was read; 0 */
    int8_t method;    /* enum http_method; -1 for one that is not served */
    bool keep_alive;  /* the connection outlives this request */
    bool has_body;
    bool expect_continue;      /* and 100 (Continue) has not been sent */
    bool started;              /* counted as in progress */
    bool returned;             /* the handler has */
    bool parked;               /* the handler has waited: its end comes in a later callback */
    struct list files;         /* opened and not closed by the handler */
    struct torc_group *groups; /* opened by the handler, newest first */
    struct route_match match;
    struct arena arena;
    struct parser parser;
    char inline_text[REQUEST_INLINE / 2];
    _Alignas(max_align_t) char inline_memory[REQUEST_INLINE / 2];
};

void request_init(struct torc_req *rq, struct http_context *core, struct conn *conn,
                  const struct exchange_ops *exchange);

/* Frees what the request holds; every fiber of it has returned. */
void request_end(struct torc_req *rq);

/* Once the head is complete: fills in target, host, method and body, and finds the route. Returns
 * 0, or the status that answers the request in place of a handler. */
int request_accept(struct torc_req *rq);

/* Answers with `status` as torc_reply_error does, with Allow or Retry-After where that belongs. */
void request_refuse(struct torc_req *rq, int status);

/* Runs the route's handler and makes sure that there is an answer. On a fiber of the request. */
void request_run(struct torc_req *rq);

/* The last field of that name is not looked for: the first counts. */
slice request_header(const struct torc_req *rq, slice name);

/* 1xx, 204 and 304 have none, and neither has any answer to HEAD (RFC 9110, 6.4.1). */
static inline bool response_has_body(const struct torc_req *rq)
{
    int status = rq->response.status;
    return rq->method != HTTP_HEAD && status != 204 && status != 304;
}

/* Adds a field line that the server itself vouches for, unchecked. 0 or -ENOMEM. */
int response_field(struct torc_req *rq, slice name, slice value);

/* Pieces of the body of a response that torc_start began with its length. */
int response_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
int response_ref(struct torc_req *rq, const void *bytes, size_t size);
