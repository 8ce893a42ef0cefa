#pragma once
/* Networks: sets of addresses that begin alike, and addresses as others write them. */

#include "base/slice.h"
#include "io/sock.h"

struct network {
    uint8_t addr[16]; /* of IPv4 the first four */
    uint8_t bits;     /* of it that count */
    uint16_t family;  /* AF_INET, AF_INET6, or AF_UNIX: whoever comes through a Unix socket */
};

enum { NETWORKS_MAX = 16 };

struct networks {
    uint32_t n;
    struct network list[NETWORKS_MAX];
};

/* Parses "10.0.0.0/8", "fd00::/8", "192.0.2.1", "::1" or "unix:"; false for anything else. What is
 * beyond the prefix must be zero. */
bool network_parse(slice text, struct network *out);

/* An IPv4 address that is written as an IPv6 one is the IPv4 address. */
bool networks_have(const struct networks *n, const struct sock_addr *a);

/* Parses an address with or without a port, which is 0 then: "192.0.2.1", "192.0.2.1:80",
 * "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:80". False for anything else. */
bool network_addr_parse(slice text, struct sock_addr *out);
