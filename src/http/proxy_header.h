#pragma once
/* The header of the PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy), with which a
 * proxy begins a connection: whose it is. */

#include "base/slice.h"
#include "io/sock.h"

enum { PROXY_HEADER_MAX = 4096 }; /* of version 2, with all that it adds; of version 1 it is 107 */

struct proxy_header {
    bool told;   /* `client` is set; else the proxy speaks for itself, or does not know */
    bool secure; /* the client came by TLS */
    struct sock_addr client; /* AF_UNIX of a Unix socket */
};

/* Reads the header at the start of `in`. Its length; 0 if it is not complete; -1 if it is none. */
int proxy_header_read(slice in, struct proxy_header *out);
