#pragma once
/* A counter has one writer, its core, and any number of readers, which may see a slightly old
 * value. The relaxed accesses compile to plain loads and stores, but are no data race in C11. */

#include <stdint.h>

static inline void counter_add(uint64_t *c, uint64_t n)
{
    __atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

static inline void counter_set(uint64_t *c, uint64_t v)
{
    __atomic_store_n(c, v, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *c)
{
    return __atomic_load_n(c, __ATOMIC_RELAXED);
}
