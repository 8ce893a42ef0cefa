#pragma once
/* Tests eight bytes at a time: each function sets the top bit of every byte that matches. A carry
 * may add a false match, but only above a true one, so the lowest set bit is always right. */

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

/* DEL and non-ASCII bytes. */
static inline uint64_t word_above_tilde(uint64_t v)
{
    return (v | (v + word_of(1))) & word_of(0x80);
}

static inline uint64_t word_equal(uint64_t v, uint8_t b)
{
    return word_below(v ^ word_of(b), 1);
}

/* Index of the byte that the lowest set bit belongs to. */
static inline unsigned word_first(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits) / 8;
}
