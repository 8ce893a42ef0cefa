#include "load/escape.h"

#include <stdio.h>

/* Writes one byte as at most four characters; returns how many. */
static size_t escape_byte(unsigned char c, char to[5])
{
    static const char escaped[] = "\\\"\r\n\t", as[] = "\\\"rnt";
    const char *found = c ? strchr(escaped, c) : NULL;
    if (found) return (size_t)snprintf(to, 5, "\\%c", as[found - escaped]);
    return (size_t)snprintf(to, 5, c >= ' ' && c < 0x7f ? "%c" : "\\x%02x", c);
}

void escape(slice bytes, char *to, size_t size)
{
    size_t len = 0, whole = 0; /* the length that leaves room for "..." */
    for (size_t i = 0; i < bytes.len; i++) {
        char one[5];
        size_t n = escape_byte((unsigned char)bytes.ptr[i], one);
        if (len + n >= size) {
            memcpy(to + whole, "...", 4);
            return;
        }
        memcpy(to + len, one, n);
        len += n;
        if (len + 3 < size) whole = len;
    }
    to[len] = '\0';
}
