#pragma once
/* Inputs for parsers, in memory of exactly their size, so that the address sanitizer detects a read
 * past either end. */

#include "../base/random.h"
#include "base/slice.h"

#include <stdlib.h>

enum { MUTATE_MAX = 256 };

/* A copy; the caller frees its ptr. */
static inline slice exact(slice s)
{
    char *copy = malloc(s.len);
    ASSERT(copy);
    if (s.len) memcpy(copy, s.ptr, s.len);
    return slice_of(copy, s.len);
}

/* A copy of `seed` with a few random bytes changed, inserted, removed or doubled. Half of the new
 * bytes are from `alphabet`. */
static inline slice mutate(slice seed, slice alphabet)
{
    char buf[MUTATE_MAX];
    size_t n = seed.len < MUTATE_MAX / 2 ? seed.len : MUTATE_MAX / 2;
    if (n) memcpy(buf, seed.ptr, n);
    for (uint64_t times = random_below(5); times; times--) {
        char c = random_below(2) ? alphabet.ptr[random_below(alphabet.len)] : (char)random_u64();
        size_t at = n ? random_below(n) : 0;
        switch (random_below(5)) {
        case 0:
            if (n) buf[at] = c;
            break;
        case 1:
            if (n == MUTATE_MAX) break;
            memmove(buf + at + 1, buf + at, n - at);
            buf[at] = c;
            n++;
            break;
        case 2:
            if (n == 0) break;
            memmove(buf + at, buf + at + 1, n - at - 1);
            n--;
            break;
        case 3: n = at; break;
        case 4:
            if (n + (n - at) > MUTATE_MAX) break;
            memcpy(buf + n, buf + at, n - at);
            n += n - at;
            break;
        }
    }
    return exact(slice_of(buf, n));
}

static inline bool inside(slice part, slice whole)
{
    return part.ptr >= whole.ptr && part.len <= whole.len &&
           part.ptr + part.len <= whole.ptr + whole.len;
}
