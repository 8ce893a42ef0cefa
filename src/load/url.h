#pragma once
/* A URL of the command line: its host and target, and the host's addresses. */

#include "base/slice.h"
#include "io/sock.h"

#include <stdint.h>

/* Splits http://HOST[:PORT][/TARGET] or, for a Unix socket, unix:PATH[:/TARGET], whose host is
 * "unix:PATH"; a fragment is dropped, as it is never sent (RFC 9110, 4.2.5). False with a line in
 * `why`. */
bool url_split(const char *url, slice *host, slice *target, char *why, size_t size);

/* What the requests name as their host. */
slice url_authority(const char *host);

/* Stores up to `max` addresses of HOST[:PORT], or that of unix:PATH. Their number, or 0 with a line
 * in `why`. The last refers to `host`. */
uint32_t url_resolve(const char *host, struct sock_addr *addrs, uint32_t max, char *why,
                     size_t size);
