#pragma once
/* The receive buffers of one core. The life of a buffer:
 *
 *   1. KERNEL     in the kernel's provided-buffer ring or on the free stack
 *   2. LEASED     named by a completion; its bytes may be read until the callback returns
 *   3. RETURNING  the callback has returned; it goes back at the end of the turn
 *   4. KERNEL     again
 *
 * Only buf.c changes the state; every transition is asserted. */

#include <stddef.h>
#include <stdint.h>

struct buf_pool {
    char *mem;
    size_t mapped;       /* bytes of mem */
    uint8_t *state;      /* of each buffer */
    uint16_t *returning; /* ids, in the order of release */
    uint16_t *free;      /* stack of ids that are in no ring */
    uint32_t count, size;
    uint32_t stride; /* bytes from one buffer to the next */
    uint32_t in_use; /* LEASED or RETURNING */
    uint32_t n_returning, n_free;
};

/* `count` is a power of two up to 32768. 0 or -ENOMEM. */
int buf_pool_init(struct buf_pool *p, uint32_t count, uint32_t size);

/* Asserts that no buffer is leased or returning. */
void buf_pool_free(struct buf_pool *p);

static inline char *buf_at(const struct buf_pool *p, uint32_t id)
{
    return p->mem + (size_t)id * p->stride;
}

/* KERNEL -> LEASED, for the id in a completion. */
void buf_lease(struct buf_pool *p, uint32_t id);

/* LEASED -> RETURNING. */
void buf_release(struct buf_pool *p, uint32_t id);

/* RETURNING -> KERNEL for all of them; calls `provide` for each. */
void buf_return_all(struct buf_pool *p, void (*provide)(void *ctx, uint32_t id), void *ctx);

/* Without a ring: pops a LEASED buffer off the free stack, or -1; and pushes it back at once
 * (LEASED -> KERNEL). */
int buf_get(struct buf_pool *p);
void buf_put(struct buf_pool *p, uint32_t id);

/* Takes a buffer off the free stack for the kernel's ring, or -1. It stays KERNEL. */
int buf_move_to_ring(struct buf_pool *p);

/* Number of buffers in the kernel's ring. */
static inline uint32_t buf_in_ring(const struct buf_pool *p)
{
    return p->count - p->in_use - p->n_free;
}
