#pragma once
/* Eight bytes at a time: each test sets the top bit of every byte that it holds for. A carry from a
 * neighbour may set one too many, but only above one that is right, so the lowest always is. */

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the lowest bit is that of the first byte");

static inline uint64_t word_load(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t word_of(uint8_t b)
{
    return UINT64_C(0x0101010101010101) * b;
}

static inline uint64_t word_below(uint64_t v, uint8_t b)
{
    return (v - word_of(b)) & word_of(0x80);
}

/* DEL and what is not ASCII. */
static inline uint64_t word_above_tilde(uint64_t v)
{
    return (v | (v + word_of(1))) & word_of(0x80);
}

static inline uint64_t word_equal(uint64_t v, uint8_t b)
{
    return word_below(v ^ word_of(b), 1);
}

/* Which byte the lowest bit is of. */
static inline unsigned word_first(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits) / 8;
}
