#pragma once
/* A connection as a client has it: a plain blocking socket, whose waits are bounded. All tests that
 * talk to a server or to an engine do so through this. What must not go wrong is asserted, but for
 * tcp_try_*, which may run on threads of their own. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { TCP_SECONDS = 60 }; /* what one send or receive may take, on a busy machine as well */

struct tcp_how {
    const char *source; /* the IPv4 address to come from, or NULL */
    int receive_buffer; /* SO_RCVBUF, or 0 for the system's */
};

/* A descriptor, or negative errno. `how` may be NULL. */
int tcp_try_connect(const struct sockaddr *addr, socklen_t len, const struct tcp_how *how);
int tcp_connect(const struct sockaddr *addr, socklen_t len);

/* False where the other side has closed or takes nothing. */
bool tcp_try_send(int fd, const void *data, size_t n);

/* A count, 0 at the end of the stream, negative errno (-EAGAIN after TCP_SECONDS). */
ssize_t tcp_try_receive(int fd, void *out, size_t size);

/* The other side has closed, and nothing came before. */
void tcp_expect_end(int fd);

/* No more will be sent. The other side may have closed first. */
void tcp_shut(int fd);

/* Closes with a reset instead of an end of stream. */
void tcp_reset(int fd);
