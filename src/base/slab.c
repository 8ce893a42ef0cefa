#include "base/slab.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LINE = 64,
    BLOCK_BYTES = 64 * 1024,
    BLOCK_OBJECTS_MIN = 8,
    OBJECT_MIN = 16,
};

/* Occupies the first cache line of its block; the objects follow. */
struct slab_block {
    struct slab_block *next;
};

void slab_init(struct slab *s, const char *name, size_t size, uint32_t max)
{
    ASSERT(size > 0);
    size_t stride;
    if (size <= LINE)
        for (stride = OBJECT_MIN; stride < size;) stride *= 2;
    else
        stride = ((size + LINE - 1) / LINE | 1) * LINE;

    size_t fit = (BLOCK_BYTES - LINE) / stride;
    *s = (struct slab){
        .size = stride,
        .max = max,
        .per_block = fit < BLOCK_OBJECTS_MIN ? BLOCK_OBJECTS_MIN : (uint32_t)fit,
        .name = name,
    };
}

bool slab_grow(struct slab *s)
{
    uint32_t n = s->max - s->total;
    if (n > s->per_block) n = s->per_block;
    if (n == 0) return false;

    size_t objects = n * s->size;
    struct slab_block *b = aligned_alloc(LINE, LINE + (objects + LINE - 1) / LINE * LINE);
    if (!b) return false;
    b->next = s->blocks;
    s->blocks = b;
    s->total += n;

    char *first = (char *)b + LINE;
    for (char *obj = first + objects; obj != first;) {
        obj -= s->size;
        *(void **)obj = s->free;
        s->free = obj;
    }
    POISON(first, objects);
    return true;
}

void slab_drain(struct slab *s)
{
    if (s->in_use != 0)
        fprintf(stderr, "torc: %u objects of slab \"%s\" are still in use\n", s->in_use, s->name);
    ASSERT(s->in_use == 0);
    while (s->blocks) {
        struct slab_block *b = s->blocks;
        s->blocks = b->next;
        free(b);
    }
    s->free = NULL;
    s->total = 0;
}
