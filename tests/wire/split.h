#pragma once
/* How an input is split into the pieces that are sent. */

#include <stddef.h>
#include <stdint.h>

struct split {
    enum { SPLIT_WHOLE, SPLIT_BYTES, SPLIT_RANDOM } kind;
    uint64_t seed; /* for SPLIT_RANDOM; the generator's state */
    unsigned bits; /* pieces have at most 2^bits bytes */
    size_t dense;  /* longer inputs are split like this only at their edges, with larger pieces
                      between */
    char name[40];
};

enum { SPLITS = 9 };

/* The i-th split, i < SPLITS: whole, byte by byte, and random ones with fixed seeds. */
struct split split_nth(unsigned i, size_t dense);

/* The size of the piece at offset `at` of `total` bytes. */
size_t split_next(struct split *s, size_t at, size_t total);

/* The next random number of the split's generator. */
uint64_t split_random(struct split *s);
