#pragma once
/* A connection that begins with a header of the PROXY protocol. It goes on as HTTP once that is
 * read; until then it is as idle as one without a byte. */

struct conn;

/* The connection is new and has a visitor, who is the client only if the header says nothing else.
 * One that is no trusted proxy is closed. */
void proxy_begin(struct conn *c);
