#pragma once
/* What a core records for --timeline. */

#include "base/recorder.h"

/* The kinds of records, in the lowest byte of `what`. What belongs to a request has its number in
 * the upper half. */
enum event {
    EVENT_NONE,
    EVENT_TURN,     /* a turn began; a: so many ns before */
    EVENT_ACCEPTED, /* a: the connection */
    EVENT_CLOSED,   /* a: the connection */
    EVENT_HEAD,     /* since the last EVENT_TURN the head is there; a: connection, b: route */
    EVENT_START,    /* the same, and the handler starts at once */
    EVENT_RUN,      /* the handler starts, after an EVENT_HEAD */
    EVENT_WAIT,     /* one of its fibers is suspended; a: what for, b: whether all are */
    EVENT_RESUME,   /* one of them goes on */
    EVENT_LEAVE,    /* one of them has ended, and the core leaves the request */
    EVENT_REPLY,    /* the head of the response is queued; a: its status. Of a handler, when it is
                       suspended next; not if it returns before */
    EVENT_END,      /* the handler has returned; a: bytes that its connection has to send, b: the
                       status of the response */
    EVENT_SENT,     /* a: a connection all of whose output was sent */
};

static inline uint64_t event_word(enum event kind, uint32_t id, int method)
{
    return (uint64_t)id << 32 | (uint64_t)(uint8_t)method << 8 | (uint64_t)kind;
}

static inline enum event event_kind(const struct record *r)
{
    return (enum event)(r->what & 0xff);
}

/* Of an EVENT_HEAD or EVENT_START: enum http_method. */
static inline int event_method(const struct record *r)
{
    return (int8_t)(r->what >> 8);
}

static inline uint32_t event_id(const struct record *r)
{
    return (uint32_t)(r->what >> 32);
}

/* Of a connection. */
static inline void event_of_conn(struct recorder *r, enum event kind, const void *conn)
{
    recorder_add(r, ticks_now(), (uint64_t)kind, (uintptr_t)conn, 0);
}
