#pragma once
/* The bytes of a file as the body of a response. A small file that is asked for again soon is kept
 * in memory, as it was then, and there is nothing to wait for. A large one is mapped, and the
 * kernel sends from its page cache: one copy less than reading it into memory of our own. Only the
 * kernel ever reads the mapping, so a file that is cut short makes a send fail and raises no
 * signal. */

#include "files/file.h"
#include "http/request.h"

/* Before the head is written: what the body needs that has to be waited for, so that head and body
 * can leave in one send. `from` is the first byte that will be asked for. */
void static_body_prepare(torc_req *rq, struct static_version *v, uint64_t from);

/* A piece of the body of a response that torc_start began. 0 or negative errno. */
int static_body_send(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n);
