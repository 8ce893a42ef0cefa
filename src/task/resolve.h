#pragma once
/* Names to addresses: looked up on the pool, remembered by the core for as long as the answer says,
 * within bounds. */

#include "io/sock.h"
#include "task/offload.h"
#include "task/scope.h"

enum {
    RESOLVE_NAME = 253,   /* bytes of a name at most (RFC 1035, 2.3.4) */
    RESOLVE_ADDRS = 8,    /* addresses of a name that are remembered */
    RESOLVE_ENTRIES = 256 /* names that a core remembers */
};

/* Addresses of one name, of port 0. */
struct resolved {
    struct sock_addr addr[RESOLVE_ADDRS];
    uint32_t count;
    uint32_t ttl; /* seconds that they may be used for */
};

/* Looks a name up, on a thread of the pool. 0, or an error of `resolve`. */
typedef int resolve_fn(struct torc_job *j, const char *name, struct resolved *out);

struct resolve_stats {
    uint64_t lookups;  /* names looked up */
    uint64_t cached;   /* found in the cache */
    uint64_t failures; /* lookups that failed */
};

/* Of one core. */
struct resolver {
    struct io *io;
    struct offload *pool;
    resolve_fn *lookup;
    struct list entries; /* names, the one used last first */
    uint32_t n_entries;
    struct resolve_stats stats;
};

/* `lookup` is resolve_system but in tests. */
void resolver_init(struct resolver *r, struct io *io, struct offload *pool, resolve_fn *lookup);

/* Forgets all; leaves lookups that still run. Call when no fiber waits and the core's inbox is
 * closed. */
void resolver_end(struct resolver *r);

/* WAITS unless the answer is known or `name` is an address (IPv4, or IPv6 without brackets). Stores
 * up to `max` addresses with `port` (in host order), the preferred one first, and returns their
 * number. Or
 *   -ENOENT  there is no such name, or it has no address
 *   -EINVAL  `name` cannot be one
 *   -EAGAIN  no answer now: servers do not respond, or the pool or the cache is full
 *   -ENOSYS  the server has no pool (--work-threads 0)
 *   -ENOMEM, or the scope's error. */
int resolve(struct scope *s, struct resolver *r, const char *name, uint16_t port,
            struct sock_addr *out, unsigned max);

/* By c-ares or by the C library, as the build chose. */
int resolve_system(struct torc_job *j, const char *name, struct resolved *out);

/* With c-ares alone: asks these servers ("127.0.0.1:53,[::1]:5353") instead of the system's; NULL
 * for those. */
int resolve_at(struct torc_job *j, const char *servers, const char *name, struct resolved *out);
