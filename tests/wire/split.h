#pragma once
/* How bytes are cut into the pieces that are sent. */

#include <stddef.h>
#include <stdint.h>

struct split {
    enum { SPLIT_WHOLE, SPLIT_BYTES, SPLIT_RANDOM } kind;
    uint64_t seed; /* of SPLIT_RANDOM; its state while it runs */
    unsigned bits; /* pieces of up to 2^bits bytes */
    size_t dense;  /* longer inputs are cut so only at their edges, and larger in between */
    char name[40];
};

enum { SPLITS = 9 };

/* Whole, byte by byte, and random ones with a fixed seed each; `i` below SPLITS. */
struct split split_nth(unsigned i, size_t dense);

/* The size of the piece at offset `at` of `total` bytes. */
size_t split_next(struct split *s, size_t at, size_t total);

/* The next number of the split's own generator. */
uint64_t split_random(struct split *s);
