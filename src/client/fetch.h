#pragma once
/* One request to another server and its response. What redirects and repeats send is made again
 * from the options, so they must stay valid until the head of the response has come. */

#include "client/field_list.h"
#include "client/head_text.h"
#include "client/pool.h"
#include "client/response_parser.h"
#include "client/url.h"
#include "task/group.h"
#include "torc.h"

enum fetch_state {
    FETCH_NEW,
    FETCH_STREAMING, /* a streamed body is being sent */
    FETCH_SENT,      /* the response is awaited */
    FETCH_HEAD,      /* its head has come */
    FETCH_FAILED,
};

struct fetch {
    struct pool *pool;
    size_t max_head;
    torc_fetch_options options;
    torc_req *rq; /* whose trace is handed on; NULL: none */
    slice method;
    struct url url;
    char *own_url;        /* malloc'ed, after a redirect */
    unsigned redirected;  /* redirects followed */
    uint64_t body_left;   /* of a streamed body with a length */
    uint8_t state;        /* enum fetch_state */
    bool reused;          /* its connection has had another request */
    bool repeated;        /* sent once more already */
    bool crossed;         /* redirected to another host */
    bool without_body;    /* redirected, and the body is not sent again */
    bool whole;           /* all of it is one call: a large body is sent by a fiber of its own */
    bool cut;             /* the request was not sent whole; its connection cannot be kept */
    int error;            /* in FETCH_FAILED */
    struct head_text out; /* the request's head */
    struct group sender;  /* of the body, while f->sending */
    bool sending;
    struct pool_conn *conn; /* NULL before it is sent and after the response is complete */
    struct response_parser parser;
    struct field_list fields;
    size_t head_bytes; /* of the response, so far */
    char *sink;        /* where the parser puts the body: over the bytes that it reads */
    size_t sink_len;
    size_t early_at, early_len; /* in `in`: body bytes that came with the head and are unread */
    char in[4096];
    char *body; /* malloc'ed, by fetch_whole */
    size_t body_len;
};

/* `f` is zeroed, and its first four fields are set. -EINVAL or -EPROTONOSUPPORT. */
int fetch_prepare(struct fetch *f);

/* The rest is as the functions of torc.h. */
int fetch_start(struct fetch *f, struct scope *scope);
int fetch_write(struct fetch *f, struct scope *scope, const void *data, size_t size);
int fetch_response(struct fetch *f, struct scope *scope);
ssize_t fetch_read(struct fetch *f, struct scope *scope, void *buf, size_t size);

/* Start, response and the whole body. */
int fetch_whole(struct fetch *f, struct scope *scope);

/* Frees what it holds. Nothing waits for it any more. */
void fetch_end(struct fetch *f);

/* ---- fetch_request.c ---- */

int fetch_check(const struct fetch *f);

/* Makes the request's head. */
int fetch_put_head(struct fetch *f);

/* Whether the server may get the request twice. */
bool fetch_is_repeatable(const struct fetch *f);

/* ---- fetch_redirect.c ---- */

/* Whether the response is a redirect that is to be followed. */
bool fetch_is_redirect(const struct fetch *f);

/* Changes the request to where the response leads. -ELOOP, -EINVAL, -EPROTONOSUPPORT, -ENOMEM. */
int fetch_redirect(struct fetch *f);
