#pragma once
/* Chunked bodies of "hello" whose framing takes as much as is allowed, OVERHEAD_BASE and
 * OVERHEAD_PER_BYTE, or a byte more. */

#include "http/message.h"

#include <stdio.h>

static const struct framing {
    const char *before, *after;
    char fill;
    unsigned most; /* times that `fill` may stand between them */
} framings[] = {
    {"5;", "\r\nhello\r\n0\r\n\r\n", 'a', OVERHEAD_BASE - 4},       /* an extension */
    {"5;a=\"", "\"\r\nhello\r\n0\r\n\r\n", ';', OVERHEAD_BASE - 8}, /* its value */
    {"5", ";a\r\nhello\r\n0\r\n\r\n", ' ', OVERHEAD_BASE - 5},      /* space before it */
    {"", "5\r\nhello\r\n0\r\n\r\n", '0', OVERHEAD_BASE - 3},        /* zeros before the size */
    /* What follows data may be longer. */
    {"5\r\nhello\r\n5;", "\r\nhello\r\n0\r\n\r\n", 'a', OVERHEAD_BASE + 5 * OVERHEAD_PER_BYTE - 9},
    {"5\r\nhello\r\n0;", "\r\n\r\n", 'a', OVERHEAD_BASE + 5 * OVERHEAD_PER_BYTE - 11},
    {"5\r\nhello\r\n0\r\na: ", "\r\n\r\n", 'b', OVERHEAD_BASE + 5 * OVERHEAD_PER_BYTE - 15},
};

enum { FRAMING_MAX = 2 * OVERHEAD_BASE };

/* With `over` bytes more than are allowed. */
static inline slice framing_text(const struct framing *f, unsigned over, char *out)
{
    size_t n = (size_t)sprintf(out, "%s", f->before);
    memset(out + n, f->fill, f->most + over);
    n += f->most + over;
    return slice_of(out, n + (size_t)sprintf(out + n, "%s", f->after));
}
