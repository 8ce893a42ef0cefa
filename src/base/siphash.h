#pragma once
/* SipHash-2-4 (Aumasson and Bernstein) of one word: a hash that nobody can predict without its key,
 * so that nobody can choose words that all fall into one bucket. */

#include <stdint.h>

struct siphash_key {
    uint64_t k[2];
};

static inline uint64_t siphash_rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static inline void siphash_rounds(uint64_t v[4], unsigned n)
{
    for (; n > 0; n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = siphash_rotl(v[1], 13) ^ v[0];
        v[3] = siphash_rotl(v[3], 16) ^ v[2];
        v[0] = siphash_rotl(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = siphash_rotl(v[1], 17) ^ v[2];
        v[3] = siphash_rotl(v[3], 21) ^ v[0];
        v[2] = siphash_rotl(v[2], 32);
    }
}

static inline uint64_t siphash_word(const struct siphash_key *key, uint64_t word)
{
    const uint64_t last = UINT64_C(8) << 56; /* the length in bytes */
    uint64_t v[4] = {key->k[0] ^ 0x736f6d6570736575, key->k[1] ^ 0x646f72616e646f6d,
                     key->k[0] ^ 0x6c7967656e657261, key->k[1] ^ 0x7465646279746573};
    v[3] ^= word;
    siphash_rounds(v, 2);
    v[0] ^= word;
    v[3] ^= last;
    siphash_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    siphash_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
