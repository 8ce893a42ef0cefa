#pragma once
/* A handler on a stack of its own size. */

#include "http/route.h"

struct own_stack;

/* Has `route` run its handler on a stack of `size` bytes. NULL without memory; freed by free(3),
 * when the route is no longer served. */
struct own_stack *own_stack_put(struct route *route, size_t size);
