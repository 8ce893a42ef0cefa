/* What the kernel has for libpq. Where TLS or GSSAPI decrypts it, that is not all that libpq can
 * read, and what more there is makes no descriptor ready. */

#include "client/pg.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Bytes that have come in all. Neither is used on anything but TCP. Stays 0 where the system does
 * not count them. */
static uint64_t arrived(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

bool pg_socket_decrypts(const struct pg_conn *c)
{
    return PQsslInUse(c->pg) || PQgssEncInUse(c->pg);
}

bool pg_socket_empty(const struct pg_conn *c, uint64_t *mark)
{
    int fd = PQsocket(c->pg), waiting = 0;
    *mark = arrived(fd); /* first: what comes after this is noticed */
    return ioctl(fd, FIONREAD, &waiting) < 0 || waiting == 0;
}

bool pg_socket_unchanged(const struct pg_conn *c, uint64_t mark)
{
    return arrived(PQsocket(c->pg)) == mark;
}
