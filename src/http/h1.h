#pragma once
/* HTTP/1.x on a connection (RFC 9112): one request at a time, answers in order. */

#include "http/conn.h"

/* Serves what c->in holds, until it is used up, a handler waits, or the output backs up; and ends
 * what cannot be completed once c->eof is set. */
void h1_input(struct conn *c);

/* Ends the request whose handler has returned after waiting. */
void h1_finish(struct conn *c);

/* Nothing was received in time. */
void h1_timeout(struct conn *c);

/* Frees the request of a connection that ends; its handler has returned. */
void h1_drop(struct conn *c);
