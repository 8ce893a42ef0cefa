#pragma once
/* Messages to the operator of what clients can cause. Each text is told when it first occurs, and
 * then with its number every ten seconds, so that nobody can flood the log and nothing goes
 * uncounted. A core keeps a few texts of each cause; those that find no place share the last one,
 * and the newest of them is told. */

#include <stdint.h>

enum http_warning {
    WARN_NO_ANSWER,  /* a handler returned without a response */
    WARN_SHORT_BODY, /* a handler wrote less than it announced */
    WARN_NO_FIBER,   /* too many requests in progress, or no memory for a stack */
    WARN_NO_MEMORY,  /* for a request or its response */
    WARN_BUFFERS,    /* buffer_memory is used up */
    WARN_SOCKET,     /* the socket of a client cannot be used */
    WARN_FILE,       /* a file could not be opened or read */
    WARN_ABSENT,     /* a server that handlers ask cannot be reached; in the order of host.h, */
    WARN_LOST,       /* its connection broke */
    WARN_NOTICE,     /* what such a server says besides its answers */
    HTTP_WARNINGS,
};

enum { WARNING_TEXTS = 8 };

struct warned {
    char *text;      /* NULL: the place is free */
    uint64_t at;     /* when it was told, in ns */
    uint64_t untold; /* how often it has happened since */
    uint64_t others; /* of these, with earlier texts */
};

struct warnings {
    struct warned of[HTTP_WARNINGS][WARNING_TEXTS];
    uint64_t unkept[HTTP_WARNINGS]; /* when one was told that no memory could be had for */
};

void warnings_add(struct warnings *w, enum http_warning cause, const char *text, uint64_t now);

/* Call about once a second. Tells the numbers that are due, and forgets texts that did not occur
 * again. */
void warnings_tell(struct warnings *w, uint64_t now);

/* Tells what is untold, and frees all texts. */
void warnings_end(struct warnings *w);
