#include "io/buf.h"

#include "base/assert.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { KERNEL, LEASED, RETURNING };

enum { CACHE_LINE = 64, HUGE_PAGE = 2 << 20 };

int buf_pool_init(struct buf_pool *p, uint32_t count, uint32_t size)
{
    ASSERT(count && (count & (count - 1)) == 0 && count <= 32768);
    *p = (struct buf_pool){.count = count, .size = size};
    /* An odd number of cache lines apart: with a power of two, the first lines of all buffers,
     * where the requests are, would share a few sets of the cache. */
    p->stride = ((size + CACHE_LINE - 1) / CACHE_LINE | 1) * CACHE_LINE;
    p->mapped = (size_t)p->stride * count;
    bool huge = p->mapped >= HUGE_PAGE / 2; /* fewer TLB misses */
    if (huge) p->mapped = (p->mapped + HUGE_PAGE - 1) & ~((size_t)HUGE_PAGE - 1);
    p->mem = mmap(NULL, p->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p->state = calloc(count, sizeof *p->state);
    p->returning = calloc(count, sizeof *p->returning);
    p->free = calloc(count, sizeof *p->free);
    if (p->mem == MAP_FAILED || !p->state || !p->returning || !p->free) {
        if (p->mem == MAP_FAILED) p->mem = NULL;
        buf_pool_free(p);
        return -ENOMEM;
    }
    if (huge) madvise(p->mem, p->mapped, MADV_HUGEPAGE); /* best effort */
    for (uint32_t i = 0; i < count; i++) p->free[p->n_free++] = (uint16_t)(count - 1 - i);
    return 0;
}

void buf_pool_free(struct buf_pool *p)
{
    ASSERT(p->in_use == 0 && p->n_returning == 0);
    if (p->mem) munmap(p->mem, p->mapped);
    free(p->state);
    free(p->returning);
    free(p->free);
    *p = (struct buf_pool){0};
}

void buf_lease(struct buf_pool *p, uint32_t id)
{
    ASSERT(id < p->count && p->state[id] == KERNEL);
    p->state[id] = LEASED;
    p->in_use++;
}

void buf_release(struct buf_pool *p, uint32_t id)
{
    ASSERT(id < p->count && p->state[id] == LEASED);
    p->state[id] = RETURNING;
    p->returning[p->n_returning++] = (uint16_t)id;
}

void buf_return_all(struct buf_pool *p, void (*provide)(void *ctx, uint32_t id), void *ctx)
{
    for (uint32_t i = 0; i < p->n_returning; i++) {
        uint32_t id = p->returning[i];
        ASSERT(p->state[id] == RETURNING);
        p->state[id] = KERNEL;
        provide(ctx, id);
    }
    p->in_use -= p->n_returning;
    p->n_returning = 0;
}

int buf_get(struct buf_pool *p)
{
    if (!p->n_free) return -1;
    uint32_t id = p->free[--p->n_free];
    buf_lease(p, id);
    return (int)id;
}

int buf_move_to_ring(struct buf_pool *p)
{
    if (!p->n_free) return -1;
    uint32_t id = p->free[--p->n_free];
    ASSERT(p->state[id] == KERNEL);
    return (int)id;
}

void buf_put(struct buf_pool *p, uint32_t id)
{
    ASSERT(id < p->count && p->state[id] == LEASED);
    p->state[id] = KERNEL;
    p->in_use--;
    p->free[p->n_free++] = (uint16_t)id;
}
