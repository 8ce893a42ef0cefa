#pragma once
/* A flight recorder: a ring of the last records of one thread. That thread alone writes it, without
 * a lock; any thread may copy what is there, while it is written.
 *
 * The record of something that takes a while is written where the next one goes, when that begins,
 * and is added when it ends: until then a copy has it as the open one. One is open at most, and no
 * other record is added meanwhile. */

#include "base/assert.h"
#include "base/stopwatch.h"

#include <stddef.h>

/* What the other words mean is up to those who write and read them. */
enum { RECORD_AT, RECORD_UNTIL, RECORD_OTHERS, RECORD_WORDS = 8 };

/* As large as a line of the cache. */
struct record {
    uint64_t word[RECORD_WORDS]; /* that of RECORD_AT and RECORD_UNTIL in ticks */
};

struct recorder {
    struct record *records, *end;
    struct record *next; /* the place of the next one; it holds an old one, or the open one */
    uint64_t mask;       /* their number - 1 */
    uint64_t written;    /* records so far */
};

enum { RECORDS_MIN = 64 };

/* `n` records at least, at most twice as many. 0 or -ENOMEM. */
int recorder_init(struct recorder *r, size_t n);
void recorder_free(struct recorder *r);

/* Each store is a release: who sees a part of a new record also sees that its place was given up.
 */
static inline void record_set(struct record *to, unsigned word, uint64_t value)
{
    __atomic_store_n(&to->word[word], value, __ATOMIC_RELEASE);
}

static inline uint64_t record_get(const struct record *from, unsigned word)
{
    return __atomic_load_n(&from->word[word], __ATOMIC_ACQUIRE);
}

/* Opens a record, whose other words were set before: what was there has ended earlier. */
static inline void record_open(struct record *to)
{
    record_set(to, RECORD_AT, ticks_now());
}

static inline bool record_is_open(const struct record *r)
{
    return r->word[RECORD_AT] > r->word[RECORD_UNTIL];
}

/* Adds r->next, whose words are set. */
static inline void recorder_add(struct recorder *r)
{
    struct record *next = r->next + 1;
    if (UNLIKELY(next == r->end)) next = r->records;
    r->next = next;
    __atomic_store_n(&r->written, r->written + 1, __ATOMIC_RELEASE);
}

/* The same of an instant. */
static inline void recorder_add_now(struct recorder *r)
{
    struct record *to = r->next;
    uint64_t now = ticks_now();
    record_set(to, RECORD_UNTIL, now);
    record_set(to, RECORD_AT, now);
    recorder_add(r);
}

/* The most that recorder_copy may copy. */
static inline size_t recorder_capacity(const struct recorder *r)
{
    return (size_t)r->mask + 1;
}

/* Copies the records that are whole, oldest first, and the open one behind them; from any thread.
 * Returns their number, and in *first that of the first one, by `written`. `out` has room for
 * recorder_capacity. */
size_t recorder_copy(const struct recorder *r, struct record *out, uint64_t *first);
