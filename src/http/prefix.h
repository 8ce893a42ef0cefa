#pragma once
/* Prefixes of paths: "/admin" has "/admin" itself and all that is below it, however it is written:
 * with escapes, or with several slashes in place of one. So what guards "/admin" also guards
 * "/%61dmin//x". */

#include "base/slice.h"

struct prefix {
    slice text; /* decoded, without a slash at its end; "" has every path */
};

/* What is wrong with a prefix, or NULL. It begins with a slash; one at its end counts for nothing.
 */
const char *prefix_fault(slice text);

/* `room` has room for text.len bytes and lasts as long. */
void prefix_init(struct prefix *p, slice text, char *room);

/* Whether it has the path, as sent. An absent path is below "/" only. */
bool prefix_has(const struct prefix *p, slice path);

enum prefix_match { PREFIX_NEVER, PREFIX_SOMETIMES, PREFIX_ALWAYS };

/* Which of the paths that a route's pattern (router.h) matches it has. */
enum prefix_match prefix_of_pattern(const struct prefix *p, slice pattern);
