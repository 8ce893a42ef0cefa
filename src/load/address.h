#pragma once
/* Which of a server's addresses a run uses. */

#include "io/sock.h"

#include <stdint.h>

/* The first of `n` addresses that accepts a connection within `timeout` (ns); where none does, or
 * there is only one, the first. */
const struct sock_addr *address_choose(const struct sock_addr *addrs, uint32_t n, uint64_t timeout);
