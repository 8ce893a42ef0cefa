#pragma once
/* Unix sockets that have the name of a file, or one of the abstract namespace, which leaves no file
 * (unix(7)). */

#include "io/sock.h"

#include <sys/un.h>

/* Bytes of a PATH, or of a NAME with its "@", at most: the room in the kernel's address. */
enum { LOCAL_PATH_MAX = sizeof((struct sockaddr_un *)0)->sun_path - 1 };

/* Parses "unix:PATH" or "unix:@NAME"; *out refers to `text`. White space in PATH is refused, as it
 * separates the values of an option. 0, -ENAMETOOLONG beyond LOCAL_PATH_MAX, or -EINVAL for any
 * other text. */
int local_parse(const char *text, struct sock_addr *out);

/* The address for the kernel. */
socklen_t local_raw(const struct sock_addr *a, struct sockaddr_un *out);

/* -EADDRINUSE if a server listens there; otherwise 0. */
int local_taken(const struct sock_addr *a);

/* Opens a listening socket, as sock_listen. The file that a server has left which is no more is
 * replaced; of one that listens it is -EADDRINUSE, and -ENOTSOCK of any other file. Of several
 * servers that do so at once, one gets it. Nobody can connect before the file has its mode. */
int local_listen(struct sock_addr *a, int backlog, bool blocking);

/* Connections that wait in the accept queue of a listening socket; UINT32_MAX where the kernel does
 * not tell: it was built without that (CONFIG_UNIX_DIAG), refuses it, or has the socket in another
 * network namespace. */
uint32_t local_queued(int listener);

/* Removes the file, unless another has its name by now. Before the socket is closed, which keeps
 * its inode from being used for that other. */
void local_remove(struct sock_addr *a);
