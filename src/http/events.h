#pragma once
/* What a core records for --timeline: one record of each request whose handler does not wait; of
 * another request, a first record and one of each step. */

#include "base/recorder.h"

/* The kinds of records, and their words. */
enum event {
    EVENT_REQUEST, /* a handler ran from RECORD_AT to RECORD_UNTIL, and did not wait: CONN, ROUTE,
                      BEGAN, STATUS, SENT, its method. While it is open ROUTE and the method */
    EVENT_HEAD,    /* the head of a request was there: CONN, ROUTE or 0, BEGAN, its method */
    EVENT_START,   /* the same, and the handler began */
    EVENT_RUN,     /* the handler begins, after an EVENT_HEAD: ID */
    EVENT_WAIT,    /* one of its fibers is suspended: ID; A: what for, B: whether all are */
    EVENT_RESUME,  /* one of them goes on: ID */
    EVENT_LEAVE,   /* one of them has ended, and the core leaves the request: ID */
    EVENT_REPLY,   /* the head of the response is queued: ID; A: its status. Of a handler, when it
                      is suspended next; not if it returns before */
    EVENT_CALL,    /* it calls another server: ID; A: the span of that */
    EVENT_TRACE,   /* it is part of a trace: ID; A, B: that, PARENT. Right before its first
                        record */
    EVENT_END,     /* the handler has returned: ID; A: bytes that its connection has to send, B: the
                      status of the response */
    EVENT_ACCEPTED, /* CONN */
    EVENT_CLOSED,   /* CONN */
    EVENT_ALL_SENT, /* CONN has sent all; after a request that has an ID */
};

enum event_word {
    WORD_KIND = RECORD_OTHERS, /* enum event, above the lowest byte: the method, or -1 */
    WORD_CONN,                 /* the connection */
    WORD_ROUTE,                /* struct route */
    WORD_BEGAN,                /* ns: when the turn began in which the head was complete */
    WORD_STATUS,               /* of the response */
    WORD_SENT,                 /* if after RECORD_UNTIL: when CONN had sent all; ticks */
    /* In the same places: */
    WORD_ID = WORD_CONN, /* the number of the request's first record, in 32 bits */
    WORD_A = WORD_ROUTE,
    WORD_B = WORD_BEGAN,
    WORD_PARENT = WORD_STATUS,
};

static inline uint64_t event_word(enum event kind, int method)
{
    return (uint64_t)kind << 8 | (uint8_t)method;
}

static inline enum event event_kind(const struct record *r)
{
    return (enum event)(r->word[WORD_KIND] >> 8);
}

static inline int event_method(const struct record *r)
{
    return (int8_t)r->word[WORD_KIND];
}

/* Of a connection. */
static inline void event_of_conn(struct recorder *r, enum event kind, const void *conn)
{
    struct record *to = r->next;
    record_set(to, WORD_KIND, event_word(kind, 0));
    record_set(to, WORD_CONN, (uintptr_t)conn);
    recorder_add_now(r);
}
