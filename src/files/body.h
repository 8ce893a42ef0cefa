#pragma once
/* Sends the bytes of a file as a response body. A small file that is requested again is kept in
 * memory, as it was then. A large one is mapped, and the kernel sends from its page cache, which
 * saves a copy. Only the kernel reads the mapping, so a truncated file makes a send fail and raises
 * no signal. */

#include "files/file.h"
#include "http/request.h"

/* WAITS. Call before the head is written: does what must be waited for, so that head and body can
 * leave in one send. `n` bytes at `from` will be sent. */
void static_body_prepare(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n);

/* WAITS. Sends `n` bytes at `from` as a piece of the body after torc_start. 0 or negative errno. */
int static_body_send(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n);
