#pragma once
/* Formats integers as decimal text; for the request path, where printf is too slow. */

#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>

enum { DECIMAL_MAX = 20 }; /* digits of a uint64_t at most */

/* Writes the digits without a NUL and returns their end. One or two digits are the common case:
 * body lengths and times of most responses. No array of its own: a caller with one is checked for
 * overflows of the stack at each call. */
static inline char *decimal_put(char *p, uint64_t v)
{
    if (LIKELY(v < 100)) {
        p[0] = (char)('0' + v / 10);
        p[v >= 10] = (char)('0' + v % 10);
        return p + 1 + (v >= 10);
    }
    char *end = p + 3;
    for (uint64_t rest = v; rest >= 1000; rest /= 10) end++;
    p = end;
    do *--p = (char)('0' + v % 10);
    while (v /= 10);
    return end;
}

/* Writes v / 1000 with three decimals: microseconds as milliseconds. One byte more than the digits
 * of v, and 5 at least. */
static inline char *decimal_put_thousandths(char *p, uint64_t v)
{
    unsigned rest = (unsigned)(v % 1000), tens = rest / 10;
    if (LIKELY(v < 1000))
        *p++ = '0';
    else
        p = decimal_put(p, v / 1000);
    p[0] = '.';
    p[1] = (char)('0' + tens / 10);
    p[2] = (char)('0' + tens % 10);
    p[3] = (char)('0' + rest % 10);
    return p + 4;
}
