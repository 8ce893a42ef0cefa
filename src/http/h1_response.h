#pragma once
/* Responses as HTTP/1.x puts them on the wire (RFC 9112, 4, 6 and 7): the writing half of its
 * carrier; see struct exchange_ops. */

#include "http/request.h"

int h1_respond(struct torc_req *rq, slice body);
int h1_write(struct torc_req *rq, const void *data, size_t size);
int h1_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size);
int h1_write_ref(struct torc_req *rq, const void *bytes, size_t size);
int h1_end(struct torc_req *rq);
