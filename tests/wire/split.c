#include "split.h"

#include <stdio.h>

enum { MIDDLE_BITS = 12 };

struct split split_nth(unsigned i, size_t dense)
{
    static const unsigned bits[SPLITS] = {0, 0, 1, 2, 3, 5, 7, 10, 13};
    struct split s = {.kind = i == 0   ? SPLIT_WHOLE
                              : i == 1 ? SPLIT_BYTES
                                       : SPLIT_RANDOM,
                      .seed = i,
                      .bits = bits[i],
                      .dense = dense};
    if (i == 0)
        snprintf(s.name, sizeof s.name, "whole");
    else if (i == 1)
        snprintf(s.name, sizeof s.name, "byte by byte");
    else
        snprintf(s.name, sizeof s.name, "split at random, seed %u", i);
    return s;
}

/* splitmix64 */
uint64_t split_random(struct split *s)
{
    uint64_t z = s->seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

size_t split_next(struct split *s, size_t at, size_t total)
{
    size_t left = total - at, edge = s->dense / 4;
    if (s->kind == SPLIT_WHOLE) return left;
    unsigned bits = s->bits;
    if (total > s->dense && at >= edge && left > edge && bits < MIDDLE_BITS) {
        bits = MIDDLE_BITS;
        left -= edge;
    }
    size_t n = 1 + split_random(s) % (UINT64_C(1) << split_random(s) % (bits + 1));
    return n < left ? n : left;
}
