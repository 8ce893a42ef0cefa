#pragma once
/* One connection of the generator, opened again as often as it is closed: requests out, replies in,
 * each checked. */

#include "client/response_parser.h"
#include "load/core.h"

enum client_state {
    CLIENT_REST, /* no socket */
    CLIENT_CONNECTING,
    CLIENT_OPEN,
    CLIENT_CLOSING, /* what is in flight on the socket comes home, then it is closed */
};

struct client {
    struct io_sock sock;
    struct load_core *core;
    struct list link; /* in core->idle */
    struct io_task task;
    struct wheel_timer timer;
    struct pending *pending; /* a ring of plan->pipeline, rounded up */
    uint32_t mask;
    uint32_t head, sent, tail; /* awaited [head, sent), to be sent [sent, tail) */
    uint64_t on_this;          /* requests taken on for this connection */
    uint16_t reset;            /* 0, or the positive errno with which something could not be sent */
    uint8_t state;             /* enum client_state */
    bool in_reply;             /* some bytes of a reply have come */
    bool wrong_body;           /* of the reply at hand */
    bool last;                 /* the server has said that it closes */
    bool tried;                /* the first connect came to its end */
    struct response_parser reply;
    struct io_send send;
    struct io_call call; /* connect, close */
    char *filled;        /* requests with placeholders, while they are sent */
    size_t filled_cap;
};

/* `pending` and `filled` are allocated; false without memory. */
bool client_init(struct client *c, struct load_core *core);
void client_free(struct client *c);

/* Opens a connection; for a client at rest. */
void client_connect(struct client *c);

static inline bool client_has_room(const struct client *c)
{
    const struct plan *p = c->core->plan;
    return c->state == CLIENT_OPEN && !c->last && c->tail - c->head < p->pipeline &&
           (p->per_connection == 0 || c->on_this < p->per_connection);
}

/* Takes on one request, to be sent at the end of the turn. For a client with room. */
void client_take(struct client *c, const struct pending *p);

/* Has its end-of-turn work done: requests sent, the connection ended. */
void client_touch(struct client *c);

/* Ends the connection, whatever is in flight. */
void client_close(struct client *c);
