#pragma once
/* The clients of a core by address: how many connections each has, and how many requests it may
 * make now. A client is an IPv4 address or the first 64 bits of an IPv6 address, as one customer
 * has that many. The table is bounded: it holds those with connections, and CLIENTS_KEPT others
 * that have not been silent for long enough to be as good as new, the last that left. Everything
 * takes constant time; the hash has a random key. */

#include "base/list.h"
#include "base/siphash.h"
#include "base/slab.h"
#include "io/sock.h"

enum { CLIENTS_KEPT = 16384 };

struct client {
    struct client *next; /* in its bucket */
    struct list link;    /* in clients.absent while it has no connection */
    uint64_t key;
    uint64_t full_at;  /* io time at which its bucket of tokens is full again */
    uint32_t n_conns;  /* connections that are served */
    uint32_t n_excess; /* connections that are refused */
};

struct clients {
    struct client **bucket; /* NULL until the first client comes */
    uint32_t n_buckets;     /* a power of two */
    uint32_t n_absent;
    struct list absent; /* without connections, the first to leave first */
    struct slab slab;
    struct siphash_key hash;
};

/* At which rate a client may make requests; io time in ns. A bucket of tokens, told by the time at
 * which it is full. */
struct client_rate {
    uint64_t interval; /* a token is added each; 0: no limit */
    uint64_t window;   /* in which an empty bucket becomes full */
};

/* `interval` in ns; `burst` tokens fill the bucket. */
struct client_rate client_rate_of(uint64_t interval, uint64_t burst);

void clients_init(struct clients *t, uint32_t max_conns);

/* Frees the clients that are absent; asserts that no others are left. */
void clients_end(struct clients *t);

/* The key of an address. */
uint64_t client_key(const struct sock_addr *addr);

/* A client that opens a connection; it is among the most `max` that are served, or else in excess;
 * `max` 0: no limit. NULL without memory. */
struct client *clients_enter(struct clients *t, uint64_t key, uint32_t max, bool *excess);

/* The connection has ended. */
void clients_leave(struct clients *t, struct client *c, bool excess, uint64_t now);

/* The rate is a new one: a client that has spent more than all of its tokens has spent them all. */
void clients_retime(struct clients *t, const struct client_rate *rate, uint64_t now);

/* Takes a token for a request. 0; or the ns until there is one. */
uint64_t client_take(struct client *c, const struct client_rate *rate, uint64_t now);
