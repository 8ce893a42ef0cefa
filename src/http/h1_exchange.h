#pragma once
/* One request and its response as HTTP/1.x carries them: shared by the file that reads (h1.c) and
 * the one that writes (h1_response.c). */

#include "http/conn.h"
#include "http/h1_parser.h"
#include "http/request.h"

enum h1_state {
    H1_HEAD,    /* the head is not complete */
    H1_HANDLER, /* a handler has the request */
    H1_DISCARD, /* it has its response, and the rest of a body that nobody read is dropped */
    H1_DONE,    /* it has its response, and ends */
};

struct h1_exchange {
    struct torc_req rq;
    struct conn *conn;
    struct h1_reader *reader; /* NULL or a fiber that waits for bytes of the body */
    uint8_t state;            /* enum h1_state */
    bool returned;            /* the handler has */
    bool counted;             /* as in progress */
    struct h1_parser parser;
};

static inline struct h1_exchange *h1_exchange_of(struct torc_req *rq)
{
    return container_of(rq, struct h1_exchange, rq);
}

/* The writing half of its operations; see struct exchange_ops. */
int h1_respond(struct torc_req *rq, slice body);
int h1_write(struct torc_req *rq, const void *data, size_t size);
int h1_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
int h1_write_ref(struct torc_req *rq, const void *bytes, size_t size);
int h1_end(struct torc_req *rq);
