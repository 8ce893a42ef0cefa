#pragma once
/* Addresses and listening sockets. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct sock_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len;
};

enum { SOCK_ADDR_TEXT = INET6_ADDRSTRLEN + 10 };

/* "127.0.0.1:8080", "[::1]:8080", "*:80" or ":80" (every address, IPv6 with IPv4) — numbers only.
 * False where it is none of these. */
bool sock_addr_parse(const char *text, struct sock_addr *out);

/* The reverse, with brackets around IPv6. */
void sock_addr_format(const struct sock_addr *a, char out[SOCK_ADDR_TEXT]);

/* Whether one could not listen beside the other: the same port, and one address or every one. */
bool sock_addr_clash(const struct sock_addr *a, const struct sock_addr *b);

/* A listening TCP socket, SO_REUSEPORT set so that each core has its own. TCP_NODELAY is set here
 * because accepted sockets inherit it. Negative errno; *addr then is as given, else it holds the
 * address that was bound (port 0 becomes the chosen port). `blocking` suits io_uring, which would
 * answer -EAGAIN on a non-blocking socket. */
int sock_listen(struct sock_addr *addr, int backlog, bool blocking);

/* Bytes given to the socket that its peer has not acknowledged (SIOCOUTQ, tcp(7)), or negative
 * errno. */
int sock_unacked(int fd);

/* Whether another program listens there already, which SO_REUSEPORT would let pass in silence: 0,
 * or -EADDRINUSE. Other errors are left for sock_listen to find. */
int sock_taken(const struct sock_addr *addr);
