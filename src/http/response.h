#pragma once
/* What the server itself adds to responses, beside the calls of torc.h. */

#include "http/request.h"

/* Adds a field line that the server itself vouches for, unchecked. 0 or -ENOMEM. */
int response_field(struct torc_req *rq, slice name, slice value);

/* Answers with `status` as torc_reply_error does, with Allow or Retry-After where that belongs. */
void response_error(struct torc_req *rq, int status);

/* Pieces of the body of a response that torc_start began with its length. 0 or negative errno. */
int response_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
int response_write_ref(struct torc_req *rq, const void *bytes, size_t size);
