#pragma once
/* Formats integers as decimal text; for the request path, where printf is too slow. */

#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DECIMAL_MAX = 20 }; /* digits of a uint64_t at most */

/* Writes the digits without a NUL and returns their end. One or two digits are the common case:
 * body lengths and times of most responses. */
static inline char *decimal_put(char *p, uint64_t v)
{
    char digits[DECIMAL_MAX];
    size_t n = 0;
    if (LIKELY(v < 100)) {
        p[0] = (char)('0' + v / 10);
        p[v >= 10] = (char)('0' + v % 10);
        return p + 1 + (v >= 10);
    }
    do digits[sizeof digits - ++n] = (char)('0' + v % 10);
    while (v /= 10);
    memcpy(p, digits + sizeof digits - n, n);
    return p + n;
}
