#pragma once
/* A small generator with a fixed seed, so that a failing run can be repeated (splitmix64). */

#include <stdint.h>

static uint64_t random_state = 1;

static inline uint64_t random_u64(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t n)
{
    return random_u64() % n;
}

/* Every order of magnitude up to 2^bits is equally likely. */
static inline uint64_t random_log(unsigned bits)
{
    uint64_t n = random_below(bits + 1);
    return n ? random_u64() >> (64 - n) : 0;
}
