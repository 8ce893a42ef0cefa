#pragma once
/* Clients that come to any place in an exchange, and leave there by any way out. By chance, but the
 * same in each run. */

#include "client.h"

enum { VISITOR_FILE = 300 * 1000 }; /* bytes that /static/file is to have */

/* What a client is at when its fault comes. */
enum place {
    BEFORE_ANY_BYTE,
    IN_HEAD,
    BEFORE_BODY,
    IN_BODY,
    IN_CHUNK,
    IN_CONTINUE,    /* the server has been asked for 100 (Continue) */
    IN_UNREAD_BODY, /* which no handler wants */
    READING_FILES,  /* several at the same time */
    WAITING,        /* for an answer that takes its time */
    WAITING_PIPED,  /* with more requests behind it */
    SENDING,        /* the server is, and the client reads a part */
    ECHOING,
    AFTER_ANSWER,
    LINGERING, /* after an error, while the server waits for the client's end */
    PLACES,
};

struct visitor {
    struct client c;
    enum place place;
    bool open;
    bool stays; /* asked for what takes long; else for what ends soon */
};

void chance_seed(uint64_t value);

/* Below n. */
unsigned chance(unsigned n);

/* Brings the client to its place, or, as nobody waits for the server here, on its way there. */
void visitor_go(struct visitor *v, const struct server *s, enum place place, bool stays);

/* Half of those who stay, and so check no answer, read a part of it. */
void visitor_read_some(struct visitor *v);

/* The client's end: by a reset, by closing, or by shutting its side and reading what comes. The
 * server cannot tell the last two apart, so it works on for who has closed; only a reset stops it
 * at once, and so who `stays` leaves by one. Asserts that a half-closed client gets its answer,
 * unless the server `drains`. No effect where there is no client. */
void visitor_leave(struct visitor *v, bool drains);
