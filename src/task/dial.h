#pragma once
/* Opens a stream to where a text says. */

#include "task/resolve.h"
#include "task/stream.h"

/* Waits. `to` is "127.0.0.1:80", "[::1]:80", "name:80", "unix:/path" or, of the abstract namespace,
 * "unix:@name" (unix(7)). The addresses of a name are tried in turn. 0; -EINVAL for any other text;
 * -EPIPE if the peer resets the connection at once; the errors of resolve, socket(2) and
 * connect(2); or the scope's error. Without `names` (NULL) there are none. */
int dial(struct scope *scope, struct resolver *names, const char *to, struct stream **out);
