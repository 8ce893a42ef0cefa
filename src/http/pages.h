#pragma once
/* Pages of a file that are not in memory are read from the disk while the core serves others: by
 * the workers of the ring, or by a thread of the pool where a call on a file holds the core, in
 * turn (off_core.h). So many downloads from a slow disk share it evenly, and none of them fills the
 * memory or keeps the pool from other work for long. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_context;
struct torc_req;

enum {
    PAGES_PIECE = 256 * 1024,  /* bytes of a read, where the disk is slow */
    PAGES_QUICK = 1024 * 1024, /* where it is not, or they are in memory */
};

/* Why bytes of a file before `end` could not be read: 0, it has become shorter; or negative errno,
 * -EIO for one that only the disk knows. */
int pages_why(int fd, uint64_t end);

/* Tells the operator that, and that the connection of who is sent them is closed. */
void pages_tell(struct http_context *ctx, int why);

/* What is known of a file while parts of it are read, one after the other; starts as zeros. */
struct pages_ahead {
    uint64_t from, to; /* these bytes are in memory */
    bool tried;        /* whether they can be read at once was asked, and */
    bool untold;       /* the file system does not tell */
};

/* Where the page with that byte begins. */
uint64_t pages_start(uint64_t at);

/* Pages of a mapped file. */
struct pages_part {
    void *addr;
    size_t size;
    int fd;
    uint64_t offset; /* of addr */
};

/* WAITS until they are in memory, and part of the mapping; not if they are in memory. 0; -EFAULT
 * where the file has become shorter, or the disk fails; -EINVAL before Linux 5.14; or the scope's
 * error. */
int pages_populate(struct torc_req *rq, const struct pages_part *part);

/* WAITS until they are in memory, whether or not they are part of the mapping. */
int pages_bring(struct torc_req *rq, const struct pages_part *part);

/* WAITS. Reads from a file, as IO_READ, without holding the core; `rest` bytes from `offset` on
 * will be read in all, `size` of them now. Returns the count, 0 at the end of the file, or negative
 * errno. */
int pages_read(struct torc_req *rq, struct pages_ahead *ahead, int fd, void *buf, uint32_t size,
               uint64_t offset, uint64_t rest);
