#include "base/arena.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_MIN = 4096 };

/* A multiple of the strictest alignment, so that the memory after the header is aligned for any
 * type. */
struct arena_block {
    struct arena_block *next;
    size_t size;
};

static_assert(sizeof(struct arena_block) % _Alignof(max_align_t) == 0, "blocks start aligned");

char arena_empty_block[1];

void *arena_alloc_slow(struct arena *a, size_t size, size_t align)
{
    size_t need = sizeof(struct arena_block);
    if (align > _Alignof(max_align_t)) need += align - 1;
    if (__builtin_add_overflow(need, size, &need) || need > a->limit - a->used) return NULL;

    size_t bytes = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
    if (bytes > a->limit - a->used) bytes = a->limit - a->used;
    if (bytes < need) bytes = need;
    struct arena_block *b = malloc(bytes);
    if (!b) return NULL;
    *b = (struct arena_block){.next = a->blocks, .size = bytes};
    a->blocks = b;
    a->used += bytes;
    a->at = (char *)(b + 1);
    a->end = (char *)b + bytes;
    POISON(a->at, bytes - sizeof(*b));
    return arena_alloc_aligned(a, size, align);
}

char *arena_extend(struct arena *a, char *p, size_t size, size_t more)
{
    if (p && p + size == a->at && (size_t)(a->end - a->at) >= more) {
        UNPOISON(a->at, more);
        a->at += more;
        return p;
    }
    size_t longer;
    if (__builtin_add_overflow(size, more, &longer)) return NULL;
    char *to = arena_alloc_aligned(a, longer, 1);
    if (to && p) memcpy(to, p, size);
    return to;
}

void arena_free_blocks(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    a->used = 0;
}

void arena_end(struct arena *a)
{
    arena_reset(a);
    UNPOISON(a->first, a->first_size);
}
