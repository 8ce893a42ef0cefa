#pragma once
/* The addresses that a run's connections come from: --source FIRST-LAST. */

#include "io/sock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SOURCES_MAX = 65536 };

struct source {
    struct sock_addr first;
    uint32_t count; /* consecutive addresses; 0: the system chooses */
};

/* Parses one address or FIRST-LAST, both of one family and at most SOURCES_MAX. False for anything
 * else. */
bool source_parse(const char *text, struct source *out);

/* Binds a socket to the address that connection number `n` comes from; they take them in turn. The
 * port is chosen when it connects (IP_BIND_ADDRESS_NO_PORT, ip(7)), so that each address has all
 * ports for each server. 0 or negative errno. */
int source_bind(const struct source *s, int fd, uint32_t n);

/* Keeps those of `n` addresses of a server that are of the sources' family. Their number. */
uint32_t source_reaches(const struct source *s, struct sock_addr *addrs, uint32_t n);

/* Whether this machine has the first and the last of them: 0 or negative errno, with the address in
 * `which`. */
int source_check(const struct source *s, char which[SOCK_ADDR_TEXT]);
