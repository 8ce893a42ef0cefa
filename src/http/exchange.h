#pragma once
/* The operations by which a request reads its body and sends its response. HTTP/1.1 implements them
 * (h1.c); a request knows nothing else about its connection. */

#include "base/child.h"
#include "base/slice.h"

#include <stdbool.h>
#include <sys/types.h>

struct torc_req;

/* Where bytes that are a mapping of a part of a file are in it. The last of them are copied. */
struct file_place {
    int fd;
    uint32_t copied;
    uint64_t offset;
};

/* What frees the bytes of a body once they are not needed any more: `release` is called once, or is
 * NULL. */
struct body_owner {
    void (*release)(void *arg);
    void *arg;
};

static inline void body_release(struct body_owner owner)
{
    if (!owner.release) return;
    owner.release(owner.arg);
    child_check();
}

/* All but write_owned, take_back, handler_returned, client_ended, cancel, peer and is_secure may
 * wait; all but cancel run on a fiber of the request. */
struct exchange_ops {
    /* See torc_body_read. The caller has taken the body (request_take_body). */
    ssize_t (*read)(struct torc_req *rq, void *buf, size_t size);
    /* Sends the head and, unless the response is streamed, the whole `body`. 0 or negative
     * errno. */
    int (*respond)(struct torc_req *rq, slice body);
    /* Sends a piece of a streamed body; see torc_write. This and the next two count what they queue
     * in response.written. */
    int (*write)(struct torc_req *rq, const void *data, size_t size);
    /* Sends a part of a file as a piece of a streamed body; fails if the file is too short. */
    int (*write_file)(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
    /* Sends bytes by reference; with a `place`, that file's pages. When it returns they have been
     * sent, or never will be. Positive: so many of the last were not, as the kernel does not send
     * pages of this file; the caller sends them otherwise. -EFAULT if it could not read them: the
     * request is cancelled then (-EIO), and the caller says why. */
    int (*write_ref)(struct torc_req *rq, slice bytes, const struct file_place *place);
    /* Takes over all of the body of a response that was begun with its length; its owner is told
     * once, whatever this returns. */
    int (*write_owned)(struct torc_req *rq, slice body, struct body_owner owner);
    /* Takes back a response whose body its scope has cut off with `err`, if nothing of it has left:
     * then another may be given, such as a 504. NULL: it cannot. */
    void (*take_back)(struct torc_req *rq, int err);
    /* Sends an interim response (RFC 9110, 15.2) with these field lines, or nothing to a client
     * that knows none. */
    int (*interim)(struct torc_req *rq, int status, slice lines);
    /* Ends a streamed body. With response.trailers, response.fields follow it. */
    int (*end)(struct torc_req *rq);
    /* See torc_client_gone. */
    bool (*client_ended)(const struct torc_req *rq);
    /* Gives the request up, with that error: nothing more of its response is sent, and its
     * connection ends with it. The responses before it are sent. */
    void (*cancel)(struct torc_req *rq, int err);
    /* See torc_peer. */
    slice (*peer)(const struct torc_req *rq);
    /* Whether it came by https; see torc_scheme. */
    bool (*is_secure)(const struct torc_req *rq);
    /* The handler has returned and the request has its response. Called once, on the handler's
     * fiber. */
    void (*handler_returned)(struct torc_req *rq);
};
