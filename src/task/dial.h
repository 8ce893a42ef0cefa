#pragma once
/* Opens a stream to where a text says. */

#include "task/resolve.h"
#include "task/stream.h"

#include <sys/un.h>

struct dial_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len;
};

/* Whether `to` is one of the texts that dial takes, whatever a lookup would find: 0, -EINVAL, or
 * -ENAMETOOLONG for the path of a Unix socket that is too long (io/local.h). */
int dial_check(const char *to);

/* Waits where a name has to be looked up. The number of addresses, at least one, or the errors of
 * dial that come before a socket. */
int dial_find(struct scope *scope, struct resolver *names, const char *to,
              struct dial_addr out[RESOLVE_ADDRS]);

/* Waits. `to` is "127.0.0.1:80", "[::1]:80", "name:80", "unix:/path" or, of the abstract namespace,
 * "unix:@name" (unix(7)). The addresses of a name are tried in turn, and
 * one that does not answer soon once more after the others. 0; -EINVAL for any other text;
 * -EPIPE if the peer resets the connection at once; the errors of resolve, socket(2) and
 * connect(2); or the scope's error. Without `names` (NULL) there are none. */
int dial(struct scope *scope, struct resolver *names, const char *to, struct stream **out);
