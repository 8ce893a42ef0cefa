#pragma once
/* A flight recorder: a ring of the last events of one thread. That thread alone writes it, without
 * a lock; any thread may copy what is there, while it is written. */

#include "base/stopwatch.h"

#include <stddef.h>

/* What the words mean is up to those who write and read them. */
struct record {
    uint64_t at; /* ticks */
    uint64_t what, a, b;
};

struct recorder {
    struct record *records;
    uint64_t mask;    /* their number - 1 */
    uint64_t written; /* records so far; the one of this number may be half written */
    uint64_t turn;    /* of the writer: the turn that it noted last */
    uint32_t last_id; /* likewise: the last number it gave */
};

enum { RECORDS_MIN = 64 };

/* `n` records at least, at most twice as many. 0 or -ENOMEM. */
int recorder_init(struct recorder *r, size_t n);
void recorder_free(struct recorder *r);

/* Each store is a release: who sees a part of a new record also sees that its place was given up.
 */
static inline void recorder_add(struct recorder *r, uint64_t at, uint64_t what, uint64_t a,
                                uint64_t b)
{
    struct record *to = &r->records[r->written & r->mask];
    __atomic_store_n(&to->at, at, __ATOMIC_RELEASE);
    __atomic_store_n(&to->what, what, __ATOMIC_RELEASE);
    __atomic_store_n(&to->a, a, __ATOMIC_RELEASE);
    __atomic_store_n(&to->b, b, __ATOMIC_RELEASE);
    __atomic_store_n(&r->written, r->written + 1, __ATOMIC_RELEASE);
}

/* The most that recorder_copy may return. */
static inline size_t recorder_capacity(const struct recorder *r)
{
    return (size_t)r->mask;
}

/* Copies the records that are whole, oldest first; from any thread. Returns their number. `out` has
 * room for recorder_capacity. */
size_t recorder_copy(const struct recorder *r, struct record *out);
