#pragma once
/* Socket addresses and listening sockets. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct sock_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len;
    const char *path;  /* of AF_UNIX: the name of its file (local.h), which others keep; */
    uint64_t dev, ino; /* the file, once the socket is bound, */
    uint16_t mode;     /* and its mode; 0: as umask(2) says */
    bool both;         /* all addresses of both families, whatever else is listened on */
    bool v6_only;      /* IPv6 without IPv4 (IPV6_V6ONLY, ipv6(7)) */
};

enum { SOCK_PEER_TEXT = INET6_ADDRSTRLEN + 10, SOCK_ADDR_TEXT = 128 };

/* Parses "127.0.0.1:8080", "[::1]:8080", "*:80" or ":80" (all addresses, IPv6 and IPv4). A
 * link-local address may have its interface, "[fe80::1%eth0]:80". No names. False for anything
 * else. */
bool sock_addr_parse(const char *text, struct sock_addr *out);

/* Formats an address; IPv6 in brackets, a Unix socket as "unix:PATH". */
void sock_addr_format(const struct sock_addr *a, char out[SOCK_ADDR_TEXT]);

/* Likewise that of a peer: without a port if that is 0, and "unix:" of a Unix socket. */
void sock_peer_format(const struct sock_addr *a, char out[SOCK_PEER_TEXT]);

/* Makes "[::]" v6_only if `other` is of IPv4 and has its port: each family then has its own
 * listener.
 * "*" stays what it is. */
void sock_addr_separate(struct sock_addr *a, const struct sock_addr *other);

/* Whether two listeners would conflict: same port, and the same address or one of them all
 * addresses. "[::]" includes IPv4 unless it is v6_only. */
bool sock_addr_clash(const struct sock_addr *a, const struct sock_addr *b);

/* The address of the peer of a connected socket, also once it has reset the connection. */
bool sock_peer(int fd, struct sock_addr *out);

/* Opens a listening TCP socket with SO_REUSEPORT, so that each core can have its own, and
 * TCP_NODELAY, which accepted sockets inherit. Returns the descriptor and stores the bound address
 * in *addr (port 0 becomes the chosen port, and "*" is "0.0.0.0" where there is no IPv6); or
 * negative errno, *addr unchanged. Whether "[::]" includes IPv4 does not depend on the system
 * (net.ipv6.bindv6only). io_uring is faster where it is `blocking`: on a non-blocking socket its
 * accept completes with -EAGAIN on older kernels. */
int sock_listen(struct sock_addr *addr, int backlog, bool blocking);

/* Prepares a listening socket that another process has opened, and may still have. It becomes
 * non-blocking for all of them: one may be woken for a connection that another then takes. 0 or
 * negative errno. */
int sock_adopt(int fd);

/* How the kernel finds out that a peer has vanished. ns; of `idle` and `interval` whole seconds. */
struct sock_keepalive {
    uint64_t idle; /* without a byte from it, until it is probed; 0: never */
    uint64_t interval;
    uint32_t probes;
    uint64_t user_timeout; /* without an acknowledgement of what was sent; 0: the system's */
};

/* Of a listening socket: those that it accepts inherit it. Without effect on a Unix socket. 0 or
 * negative errno. */
int sock_keep_alive(int fd, const struct sock_keepalive *k);

/* Bytes in the send queue that the peer has not acknowledged (SIOCOUTQ, tcp(7)), or negative
 * errno. */
int sock_unacked(int fd);

bool sock_is_local(int fd); /* a Unix socket */

/* Connections that wait in the accept queue of a listening socket of TCP; see local_queued. */
uint32_t sock_queued(int listener);

/* How long that queue may be, as listen(2) was told; UINT32_MAX if the kernel does not say, as of a
 * Unix socket. */
uint32_t sock_backlog(int listener);

/* Whether a TCP connection is no more: reset, or ended by both sides. */
bool sock_is_closed(int fd);

/* Whether the peer of a connection has ended its stream or reset it: what has not come by now never
 * will. */
bool sock_has_ended(int fd);

/* Checks whether another program listens on the address, which SO_REUSEPORT would permit silently
 * for the same user. -EADDRINUSE if so, otherwise 0; sock_listen reports other errors. */
int sock_taken(const struct sock_addr *addr);
