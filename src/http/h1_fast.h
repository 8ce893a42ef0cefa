#pragma once
/* The h1 fast path: parses the most common form of a request head in one pass, with a sixth of the
 * instructions of llhttp. That form is GET, a target that begins with a slash, HTTP/1.1, fields of
 * visible ASCII that affect neither framing nor the connection (except "Connection: keep-alive"),
 * and a complete head in one piece. Everything else is left to llhttp. */

#include "http/head.h"

/* Parses `in` into `head`, whose text has room for `room` bytes. Returns the
 * length of the head in bytes; 0 if it has another form or is incomplete: then only head->own_field
 * has been written to. */
size_t h1_fast_head(struct head *head, size_t room, slice in);
