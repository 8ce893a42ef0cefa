#pragma once
/* A spill buffer keeps a connection's unread input beyond the lease of its bytes. */

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct spill {
    size_t cap;
    const char *seen; /* where unread input began when somebody looked; NULL: nobody has */
    uint64_t seen_at; /* ns */
    char bytes[];
};

/* Copies *unread, which may lie in the buffer already, and `more` after it to the buffer *s, which
 * it allocates or replaces; free() frees it. *unread is then all of it. False without memory, and
 * nothing has changed. */
bool spill_keep(struct spill **s, slice *unread, slice more);

static inline size_t spill_cap(const struct spill *s)
{
    return s ? s->cap : 0;
}
