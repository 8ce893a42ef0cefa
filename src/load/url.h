#pragma once
/* A URL of the command line: its host and target, and the host's addresses. */

#include "base/slice.h"
#include "io/sock.h"

#include <stdint.h>

/* Splits http://HOST[:PORT][/TARGET]; a fragment is dropped, as it is never sent (RFC 9110,
 * 4.2.5). False with a line in `why`. */
bool url_split(const char *url, slice *host, slice *target, char *why, size_t size);

/* Stores up to `max` addresses of HOST[:PORT]. Their number, or 0 with a line in `why`. */
uint32_t url_resolve(slice host, struct sock_addr *addrs, uint32_t max, char *why, size_t size);
