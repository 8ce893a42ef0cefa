#pragma once
/* Objects of one size, last freed first reused, so that the hot object stays in the cache. One
 * thread uses a slab. Memory grows in blocks up to `max` objects and is given back at slab_drain.
 * Under the address sanitizer an object that is home is poisoned. */

#include "base/assert.h"
#include "base/poison.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab {
    void *free;     /* stack of objects that are home, linked through their first word */
    size_t size;    /* bytes from one object to the next */
    uint32_t out;   /* objects in use */
    uint32_t total; /* objects ever carved */
    uint32_t max;
    uint32_t per_block;
    struct slab_block *blocks;
    const char *name; /* for the message when an object is missing at the end */
};

/* Objects start on a cache line and are an odd number of lines apart, which spreads them over all
 * sets of a cache: a power of two would make the first lines of all objects compete for the same
 * few. Objects smaller than a line do not cross one and are aligned to 16 bytes at least. */
void slab_init(struct slab *s, const char *name, size_t size, uint32_t max);

/* Carves one more block; false when `max` or memory is used up. */
bool slab_grow(struct slab *s);

/* Uninitialised memory, or NULL when `max` objects are out or memory is. */
static inline void *slab_get(struct slab *s)
{
    if (UNLIKELY(!s->free) && !slab_grow(s)) return NULL;
    void *obj = s->free;
    UNPOISON(obj, s->size);
    s->free = *(void **)obj;
    __builtin_prefetch(s->free, 1);
    s->out++;
    return obj;
}

static inline void slab_put(struct slab *s, void *obj)
{
    ASSERT(s->out > 0);
    s->out--;
    *(void **)obj = s->free;
    s->free = obj;
    POISON(obj, s->size);
}

/* Frees all memory; asserts that every object is home. The slab may be used again. */
void slab_drain(struct slab *s);
