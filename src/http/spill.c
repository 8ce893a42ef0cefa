#include "http/spill.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 8 * 1024 };

/* Room for at least `need` bytes, as much as an allocation of a common size has. */
static size_t size_for(size_t need)
{
    size_t size = 1024;
    need += sizeof(struct spill);
    while (size < need && size < STEP) size *= 2;
    if (size < need) size = (need + STEP - 1) / STEP * STEP;
    return size - sizeof(struct spill);
}

bool spill_keep(struct spill **s, slice *unread, slice more)
{
    struct spill *to = *s;
    size_t need = unread->len + more.len;
    if (!to || need > to->cap) {
        size_t cap = size_for(need);
        to = malloc(sizeof *to + cap);
        if (!to) return false;
        to->cap = cap;
    }
    if (unread->len) memmove(to->bytes, unread->ptr, unread->len);
    if (more.len) memcpy(to->bytes + unread->len, more.ptr, more.len);
    if (to != *s) free(*s);
    *s = to;
    to->seen = NULL;
    *unread = slice_of(to->bytes, need);
    return true;
}
