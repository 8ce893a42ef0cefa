#include "http/fields/delimiter.h"

size_t delimiter_find(slice delimiter, slice window, bool *found)
{
    const char *at =
        window.len ? memmem(window.ptr, window.len, delimiter.ptr, delimiter.len) : NULL;
    *found = at != NULL;
    if (at) return (size_t)(at - window.ptr);
    /* The end of the window may be the beginning of one. */
    size_t from = window.len < delimiter.len ? 0 : window.len - delimiter.len + 1;
    for (; from < window.len; from++)
        if (memcmp(window.ptr + from, delimiter.ptr, window.len - from) == 0) return from;
    return window.len;
}
