#pragma once
/* Arena: bump allocation, first from a block that the owner supplies, then from malloc'ed blocks up
 * to a limit. Single allocations are never freed; arena_reset frees all of them. Under the address
 * sanitizer, memory that is not allocated is poisoned. */

#include "base/poison.h"

#include <stddef.h>

struct arena_block;

struct arena {
    char *at, *end;             /* free part of the current block */
    struct arena_block *blocks; /* malloc'ed blocks, newest first */
    char *first;
    size_t first_size;
    size_t used;  /* bytes malloc'ed so far, block headers included */
    size_t limit; /* bytes that may be malloc'ed in total */
};

/* NULL when the limit is reached or malloc fails. */
void *arena_alloc_slow(struct arena *a, size_t size, size_t align);

/* Returns uninitialised memory, or NULL like arena_alloc_slow. `align` is a power of two. */
static inline void *arena_alloc_aligned(struct arena *a, size_t size, size_t align)
{
    size_t pad = -(size_t)a->at & (align - 1);
    if ((size_t)(a->end - a->at) < pad || (size_t)(a->end - a->at) - pad < size)
        return arena_alloc_slow(a, size, align);
    char *p = a->at + pad;
    a->at = p + size;
    UNPOISON(p, size);
    return p;
}

static inline void *arena_alloc(struct arena *a, size_t size)
{
    return arena_alloc_aligned(a, size, _Alignof(max_align_t));
}

/* Grows an allocation of `size` bytes at `p` by `more` bytes: in place if it is the last one and
 * its block has room, otherwise by copying (amortised constant time per byte if the caller
 * doubles). `p` may be NULL if `size` is 0. Returns the new address; NULL like arena_alloc, and the
 * old bytes remain valid. */
char *arena_extend(struct arena *a, char *p, size_t size, size_t more);

void arena_free_blocks(struct arena *a);

/* Frees every malloc'ed block and empties the first block. */
static inline void arena_reset(struct arena *a)
{
    if (a->blocks) arena_free_blocks(a);
    a->at = a->first;
    a->end = a->first + a->first_size;
    POISON(a->first, a->first_size);
}

extern char arena_empty_block[1];

/* `first` must be aligned for any type and outlive the arena; pass NULL and size 0 for none. */
static inline void arena_init(struct arena *a, void *first, size_t size, size_t limit)
{
    a->first = first ? first : arena_empty_block; /* an empty allocation is not NULL */
    a->first_size = size;
    a->blocks = NULL;
    a->used = 0;
    a->limit = limit;
    arena_reset(a);
}

/* Resets the arena and unpoisons the first block, which its owner may then reuse. */
void arena_end(struct arena *a);
