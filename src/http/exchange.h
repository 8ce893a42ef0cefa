#pragma once
/* How a request travels: what reads its body and puts its response on the wire. HTTP/1.1 is one
 * implementation (h1.c); a request knows no other thing of it than these operations. */

#include "base/slice.h"

#include <sys/types.h>

struct torc_req;

/* All but handler_returned run on a fiber of the request and may wait. */
struct exchange_ops {
    /* torc_body_read. */
    ssize_t (*read)(struct torc_req *rq, void *buf, size_t size);
    /* The head, and with it the whole `body` unless the response is streamed. 0 or -ENOMEM. */
    int (*respond)(struct torc_req *rq, slice body);
    /* One piece of a streamed body; torc_write. */
    int (*write)(struct torc_req *rq, const void *data, size_t size);
    /* The bytes of a file, as a piece of a streamed body; fails where the file is too short. */
    int (*write_file)(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
    /* The same for bytes in memory, by reference: they have been sent, or never will be, when it
     * returns. -EIO where the kernel could not read them. */
    int (*write_ref)(struct torc_req *rq, const void *bytes, size_t size);
    /* The end of a streamed body. */
    int (*end)(struct torc_req *rq);
    /* The handler has returned and the request has its response; called once, on its fiber. */
    void (*handler_returned)(struct torc_req *rq);
};
