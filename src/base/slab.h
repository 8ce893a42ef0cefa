#pragma once
/* Allocator for objects of one size. The last freed object is reused first, so that it is still in
 * the cache. A slab belongs to one thread. Memory grows in blocks up to `max` objects, which are
 * touched as they are needed; slab_trim returns what a burst has left, slab_drain the rest. Under
 * the address sanitizer, free objects are poisoned. */

#include "base/assert.h"
#include "base/list.h"
#include "base/poison.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab {
    void *free;  /* stack of free objects, linked through their first word */
    size_t size; /* bytes from one object to the next */
    uint32_t in_use;
    uint32_t total; /* objects made, free or not */
    uint32_t max;
    uint32_t per_block;
    size_t block_size; /* bytes; a power of two, and the blocks are aligned to it */
    struct list blocks;
    char *fresh; /* the rest of the newest block: n_fresh objects to be made */
    uint32_t n_fresh;
    void *unsorted;      /* free objects that the trim under way has not sorted yet */
    bool sorting;        /* a trim is under way */
    uint32_t idle_trims; /* calls of slab_trim in a row that found most objects free */
    const char *name;    /* for the message about leaked objects */
};

/* Objects start on a cache line and are an odd number of lines apart, which spreads them over all
 * sets of the cache: with a power of two, the first lines of all objects would share a few sets.
 * Objects smaller than a line do not cross one and are aligned to at least 16 bytes. */
void slab_init(struct slab *s, const char *name, size_t size, uint32_t max);

/* Makes an object free: one that a trim has put aside, or one of a new block. False if `max` is
 * reached or memory is out. */
bool slab_grow(struct slab *s);

/* Lets it grow to `max` objects; it never shrinks below what it may have already. */
static inline void slab_raise(struct slab *s, uint32_t max)
{
    if (max > s->max) s->max = max;
}

/* Uninitialised memory, or NULL if `max` objects are in use or memory is out. */
static inline void *slab_get(struct slab *s)
{
    if (UNLIKELY(!s->free) && !slab_grow(s)) return NULL;
    void *obj = s->free;
    UNPOISON(obj, s->size);
    s->free = *(void **)obj;
    __builtin_prefetch(s->free, 1);
    s->in_use++;
    return obj;
}

static inline void slab_put(struct slab *s, void *obj)
{
    ASSERT(s->in_use > 0);
    s->in_use--;
    *(void **)obj = s->free;
    s->free = obj;
    POISON(obj, s->size);
}

/* Call about once a second. Frees the blocks without an object in use, once two calls in a row have
 * found more than `keep` bytes and fewer than half of the objects in use. Looks at up to `most`
 * objects; returns whether it should be called again soon because more are left. */
bool slab_trim(struct slab *s, size_t keep, uint32_t most);

/* Bytes of the objects in use. */
static inline size_t slab_bytes(const struct slab *s)
{
    return s->in_use * s->size;
}

/* Frees all memory; asserts that no object is in use. The slab may be used again. */
void slab_drain(struct slab *s);
