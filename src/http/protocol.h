#pragma once
/* What gives the bytes of a connection their meaning. A connection calls these and knows no more;
 * HTTP/1.1 is one implementation (h1.h). */

#include <stdbool.h>

struct conn;

struct protocol {
    /* The one entrance: bytes or the end of the stream have come, the output has gone down, or what
     * conn_resume asked for is due. Takes of c->unread what can be taken now. */
    void (*input)(struct conn *c);
    /* c->read_deadline has passed. */
    void (*timeout)(struct conn *c);
    /* The server ends: what is not under way any more is not begun. */
    void (*drain)(struct conn *c);
    /* The connection is broken: every wait in it returns `err` from now on. */
    void (*cancel)(struct conn *c, int err);
    /* Frees what the protocol holds; false as long as a handler has not returned. */
    bool (*finish)(struct conn *c);
};
