#pragma once
/* Memory that ends together: bump allocation from a first block that the owner supplies and from
 * malloc'ed blocks after that, up to a limit. Nothing is freed alone. Under the address sanitizer
 * what is not handed out is poisoned. */

#include "base/poison.h"

#include <stddef.h>

struct arena_block;

struct arena {
    char *at, *end;             /* what is left of the current block */
    struct arena_block *blocks; /* malloc'ed ones, newest first */
    char *first;
    size_t first_size;
    size_t used;  /* bytes malloc'ed so far, the blocks' own heads included */
    size_t limit; /* bytes that may be malloc'ed */
};

/* NULL when the limit or memory is used up. */
void *arena_alloc_slow(struct arena *a, size_t size, size_t align);

/* Uninitialised memory, or NULL as above. `align` is a power of two. */
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

/* Makes an allocation of bytes, `size` at `p`, `more` bytes longer: in place when it is the last
 * one and its block has room, else by copying, which costs amortised constant time per byte. `p`
 * may be NULL when `size` is 0. Returns where it now is, or NULL as arena_alloc does (the old bytes
 * stay). */
char *arena_extend(struct arena *a, char *p, size_t size, size_t more);

void arena_free_blocks(struct arena *a);

/* Frees every malloc'ed block; the first block is empty again. */
static inline void arena_reset(struct arena *a)
{
    if (a->blocks) arena_free_blocks(a);
    a->at = a->first;
    a->end = a->first + a->first_size;
    POISON(a->first, a->first_size);
}

extern char arena_nowhere[1];

/* `first` must be aligned for any type and outlives the arena; NULL with size 0 for none. */
static inline void arena_init(struct arena *a, void *first, size_t size, size_t limit)
{
    a->first = first ? first : arena_nowhere; /* an allocation of nothing is not NULL */
    a->first_size = size;
    a->blocks = NULL;
    a->used = 0;
    a->limit = limit;
    arena_reset(a);
}

/* arena_reset, and gives the first block back to its owner, who may then put other things there. */
void arena_end(struct arena *a);
