#pragma once
/* Clients that go to some state of an exchange and leave from there in some way. Random, but the
 * same in each run. */

#include "client.h"

enum { VISITOR_FILE = 300 * 1000 }; /* the size that /static/file must have */

/* The state in which a client leaves. */
enum place {
    BEFORE_ANY_BYTE,
    IN_HEAD,
    BEFORE_BODY,
    IN_BODY,
    IN_CHUNK,
    IN_CONTINUE,    /* has asked for 100 (Continue) */
    IN_UNREAD_BODY, /* a body that no handler reads */
    READING_FILES,  /* several concurrently */
    WAITING,        /* for a slow response */
    WAITING_PIPED,  /* with pipelined requests after it */
    SENDING,        /* the server sends, and the client reads a part */
    ECHOING,
    AFTER_ANSWER,
    LINGERING, /* after an error, while the server waits for the client to close */
    PLACES,
};

struct visitor {
    struct client c;
    enum place place;
    bool open;
    bool stays; /* requests something slow, else something fast */
};

void random_seed(uint64_t value);

/* A random number below n. */
unsigned random_below(unsigned n);

/* Connects and sends what brings the client to its place, without waiting for the server. */
void visitor_go(struct visitor *v, const struct server *s, enum place place, bool stays);

/* Reads a part of the response in half of all calls, if the client stays: nobody checks it then. */
void visitor_read_some(struct visitor *v);

/* Ends the client with a reset, a close, or a half-close after which it reads to the end. The
 * server cannot tell the last two apart and works on after a close; only a reset stops it at once,
 * so a client that `stays` resets. Asserts that a half-closed client gets its response unless the
 * server `drains`. No effect if the client is not open. */
void visitor_leave(struct visitor *v, bool drains);
