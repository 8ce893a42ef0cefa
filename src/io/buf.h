#pragma once
/* The receive buffers of one core. The life of a buffer:
 *
 *   1. KERNEL     the kernel has it in a provided-buffer ring, or the free stack
 *   2. LEASED     it came with a completion; its bytes may be read until the callback returns
 *   3. RETURNING  the callback is done; it is published at the end of the turn
 *   4. KERNEL     again
 *
 * Only buf.c changes the state, and every step is asserted. */

#include <stddef.h>
#include <stdint.h>

struct buf_pool {
    char *mem;
    size_t mapped;       /* bytes of mem */
    uint8_t *state;      /* of each buffer */
    uint16_t *returning; /* ids in the order of their release */
    uint16_t *free;      /* stack of the ids that are in no ring */
    uint32_t count, size;
    uint32_t stride; /* bytes from one buffer to the next */
    uint32_t in_use; /* LEASED or RETURNING */
    uint32_t n_returning, n_free;
};

/* `count` is a power of two up to 32768. 0 or -ENOMEM. */
int buf_pool_init(struct buf_pool *p, uint32_t count, uint32_t size);

/* Asserts that every buffer is home. */
void buf_pool_free(struct buf_pool *p);

static inline char *buf_at(const struct buf_pool *p, uint32_t id)
{
    return p->mem + (size_t)id * p->stride;
}

/* KERNEL -> LEASED, of the id that a completion names. */
void buf_lease(struct buf_pool *p, uint32_t id);

/* LEASED -> RETURNING. */
void buf_release(struct buf_pool *p, uint32_t id);

/* RETURNING -> KERNEL for all; calls `publish` for each. */
void buf_publish(struct buf_pool *p, void (*publish)(void *ctx, uint32_t id), void *ctx);

/* The last freed buffer, LEASED, or -1; and back: LEASED -> KERNEL at once. */
int buf_take(struct buf_pool *p);
void buf_give(struct buf_pool *p, uint32_t id);

/* A buffer that leaves the free stack for the kernel's ring, or -1. */
int buf_add(struct buf_pool *p);

/* How many are in the kernel's ring. */
static inline uint32_t buf_in_ring(const struct buf_pool *p)
{
    return p->count - p->in_use - p->n_free;
}
