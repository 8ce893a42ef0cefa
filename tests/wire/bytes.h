#pragma once
/* A growing buffer. Zero-initialise it; free() its ptr. */

#include "base/slice.h"

#include <stdlib.h>

struct bytes {
    char *ptr;
    size_t len, cap;
};

static inline void bytes_add(struct bytes *b, slice s)
{
    if (b->len + s.len > b->cap) {
        b->cap = (b->len + s.len) * 2;
        b->ptr = realloc(b->ptr, b->cap);
        ASSERT(b->ptr);
    }
    if (s.len) memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
}

static inline slice bytes_slice(const struct bytes *b)
{
    return slice_of(b->ptr, b->len);
}
