#pragma once
/* Listening sockets that the process was started with, as by systemd (sd_listen_fds(3)). */

#include "io/sock.h"

#include <sys/un.h>

enum { INHERITED_FIRST = 3 };

/* How many were passed to this process, from INHERITED_FIRST on: LISTEN_FDS, if LISTEN_PID is ours.
 * The first call removes these variables, so that no child takes them for its own. */
unsigned inherited_count(void);

/* The process that LISTEN_FDS is meant for, where it is another one; else 0. */
uint64_t inherited_other(void);

/* Says on stderr if there are such, and none of the `n` descriptors that are served is of them. */
void inherited_tell(const int *given, uint32_t n);

/* Stores its address, and in `local` the name of a Unix socket, "unix:" included. 0; -ENOTSOCK if
 * it is no socket, and -EINVAL if it does not listen for streams. */
int inherited_describe(int fd, struct sock_addr *out, char local[SOCK_ADDR_TEXT]);
