#pragma once
/* The h1 fast path: the head of a request in its commonest form. That is GET, a target that begins
 * with a slash, HTTP/1.1, fields of visible ASCII that neither frame the message nor steer the
 * connection (but for "Connection: keep-alive"), and all of it at hand. Read in one pass it takes a
 * sixth of the instructions that llhttp takes to come to the same; llhttp judges everything else.
 */

#include "http/head.h"

/* Reads `in` from its first byte into `head`, whose text has room for `room` bytes: the bytes of
 * the head. 0, and nothing has changed that counts, where the head is of another form or not whole.
 */
size_t h1_fast_head(struct head *head, size_t room, slice in);
