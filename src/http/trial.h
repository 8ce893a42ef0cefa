#pragma once
/* A request whose client is memory: what it sends lies there, and what it gets is kept there. For
 * tests of handlers. */

#include "http/request.h"
#include "http/visitor.h"

/* Bytes that grow; malloc'ed. */
struct trial_text {
    char *ptr;
    size_t len, cap;
};

static inline slice trial_text_slice(const struct trial_text *t)
{
    return slice_of(t->ptr, t->len);
}

/* False without memory: then it is as before. */
bool trial_text_add(struct trial_text *t, const void *bytes, size_t n);

void trial_text_free(struct trial_text *t);

struct trial {
    struct torc_req rq;
    struct visitor visitor; /* its client, if that has an address */
    slice body;             /* what the client sends and has not been read */
    uint64_t read;          /* bytes of it that have been */
    size_t piece;           /* it comes in pieces of so many bytes; 0: as a whole */
    bool returned;          /* the handler has returned */
    int status;             /* 0: no response */
    struct trial_text lines, content, trailers, hints; /* what the client gets */
};

/* Parses `head`, with its empty line, and starts its handler, or gives the response that there is
 * without one. `d` is all zero, but for the visitor. */
void trial_begin(struct trial *d, struct http_context *ctx, slice head, slice body, size_t piece);

/* Whether the client has a whole response. */
bool trial_is_complete(const struct trial *d);

/* Tells of a request that has returned, and frees what it has, but not what the client got. */
void trial_end(struct trial *d);
