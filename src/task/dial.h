#pragma once
/* Opens a stream to where a text says. */

#include "task/stream.h"

/* Waits. `to` is "127.0.0.1:80", "[::1]:80", "unix:/path" or, of the abstract namespace,
 * "unix:@name" (unix(7)). 0; -EINVAL for any other text; -EPIPE if the
 * peer resets the connection at once; the errors of socket(2) and connect(2); or
 * the scope's error. */
int dial(struct scope *scope, const char *to, struct stream **out);
