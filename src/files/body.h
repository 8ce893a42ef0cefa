#pragma once
/* Sends the bytes of a file as a response body. A small file that is requested again is kept in
 * memory, as it was then. A large one is mapped, and the kernel sends from its page cache, which
 * saves a copy. Only the kernel reads the mapping, so a truncated file makes a send fail and raises
 * no signal. */

#include "files/file.h"
#include "http/request.h"

/* What static_body_prepare has found out for static_body_send. */
struct static_prepared {
    uint64_t bytes; /* of the first ones, that can leave at once */
    uint64_t step;  /* how many are read from the disk at once */
};

/* WAITS. Call before the head is written: does what must be waited for, so that head and body can
 * leave in one send. `n` bytes at `from` will be sent. */
struct static_prepared static_body_prepare(torc_req *rq, struct static_version *v, uint64_t from,
                                           uint64_t n);

/* WAITS. Sends `n` bytes at `from` as a piece of the body after torc_start. `prepared` is
 * of these bytes and of just now, or NULL. 0 or negative errno. */
int static_body_send(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n,
                     const struct static_prepared *prepared);
