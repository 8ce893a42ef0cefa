#pragma once
/* What trusted proxies say of a request: who its client is, and how it came to the first of them.
 * Proxies add to what they were sent, so a list is read from its end, where the last one wrote: an
 * address counts if everything after it is of a trusted proxy. */

#include "http/head.h"
#include "io/network.h"

/* The proxies of a server. */
struct proxies {
    struct networks trusted;
    bool forwarded; /* they write Forwarded (RFC 7239), rather than X-Forwarded-For and -Proto */
    bool protocol;  /* they begin each connection with a header of the PROXY protocol */
};

struct forwarded {
    bool told;               /* `client` is set */
    bool secure;             /* it came by https */
    struct sock_addr client; /* port 0 if it is not told */
};

/* For a request of a trusted proxy. What is malformed, and all before it, is left out. */
void forwarded_read(const struct head *h, const struct proxies *p, struct forwarded *out);
