#include "http/clients.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

/* ---- the table ---- */

/* Where the system has no random bytes yet, or refuses them, those that it gave the process. */
static void choose_key(struct siphash_key *key)
{
    if (getrandom(key, sizeof *key, GRND_NONBLOCK) == (ssize_t)sizeof *key) return;
    memcpy(key, (const void *)(uintptr_t)getauxval(AT_RANDOM), sizeof *key);
}

void clients_init(struct clients *t, uint32_t max_conns)
{
    *t = (struct clients){.n_buckets = 1};
    while (t->n_buckets < max_conns + CLIENTS_KEPT) t->n_buckets *= 2;
    list_init(&t->absent);
    slab_init(&t->slab, "client", sizeof(struct client), max_conns + CLIENTS_KEPT + 1);
}

static struct client **bucket_of(const struct clients *t, uint64_t key)
{
    return &t->bucket[siphash_word(&t->hash, key) & (t->n_buckets - 1)];
}

static void forget(struct clients *t, struct client *c)
{
    struct client **at = bucket_of(t, c->key);
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    list_unlink(&c->link);
    t->n_absent--;
    slab_put(&t->slab, c);
}

void clients_end(struct clients *t)
{
    while (t->n_absent) forget(t, container_of(t->absent.next, struct client, link));
    slab_drain(&t->slab);
    free(t->bucket);
    t->bucket = NULL;
}

static struct client *add(struct clients *t, uint64_t key)
{
    struct client **head = bucket_of(t, key), *c = slab_get(&t->slab);
    if (!c) return NULL;
    *c = (struct client){.next = *head, .key = key};
    list_init(&c->link);
    *head = c;
    return c;
}

static bool is_absent(const struct client *c)
{
    return c->n_conns + c->n_excess == 0;
}

struct client *clients_enter(struct clients *t, uint64_t key, uint32_t max, bool *excess)
{
    if (!t->bucket) {
        t->bucket = calloc(t->n_buckets, sizeof *t->bucket);
        if (!t->bucket) return NULL;
        choose_key(&t->hash);
    }
    struct client *c = *bucket_of(t, key);
    while (c && c->key != key) c = c->next;
    if (c && is_absent(c)) {
        list_unlink(&c->link);
        t->n_absent--;
    } else if (!c && !(c = add(t, key))) {
        return NULL;
    }
    *excess = max && c->n_conns >= max;
    ++*(*excess ? &c->n_excess : &c->n_conns);
    return c;
}

/* Two for each that leaves, so that those which are as good as new do not push out others. */
static void forget_some(struct clients *t, uint64_t now)
{
    for (int i = 0; i < 2 && t->n_absent; i++) {
        struct client *first = container_of(t->absent.next, struct client, link);
        if (first->full_at > now && t->n_absent <= CLIENTS_KEPT) return;
        forget(t, first);
    }
}

void clients_leave(struct clients *t, struct client *c, bool excess, uint64_t now)
{
    --*(excess ? &c->n_excess : &c->n_conns);
    if (!is_absent(c)) return;
    list_push(&t->absent, &c->link);
    t->n_absent++;
    if (c->full_at <= now) forget(t, c);
    forget_some(t, now);
}

void clients_retime(struct clients *t, const struct client_rate *rate, uint64_t now)
{
    for (uint32_t i = 0; t->bucket && i < t->n_buckets; i++)
        for (struct client *c = t->bucket[i]; c; c = c->next)
            if (c->full_at > now + rate->window) c->full_at = now + rate->window;
}

/* ---- addresses ---- */

uint64_t client_key(const struct sock_addr *addr)
{
    const unsigned char *v6 = addr->in6.sin6_addr.s6_addr;
    uint64_t key = 0;
    uint32_t v4 = 0;
    if (addr->sa.sa_family != AF_INET6) {
        memcpy(&v4, &addr->in.sin_addr, sizeof v4);
    } else if (IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr)) {
        memcpy(&v4, v6 + 12, sizeof v4);
    } else {
        memcpy(&key, v6, sizeof key);
        return key;
    }
    /* As of 0:0:a.b:c.d::/64, which no client has. */
    memcpy((char *)&key + 4, &v4, sizeof v4);
    return key;
}

/* ---- the rate ---- */

struct client_rate client_rate_of(uint64_t interval, uint64_t burst)
{
    struct client_rate r = {interval, 0};
    if (__builtin_mul_overflow(interval, burst, &r.window) || r.window > UINT64_MAX / 4)
        r.window = UINT64_MAX / 4;
    return r;
}

uint64_t client_take(struct client *c, const struct client_rate *rate, uint64_t now)
{
    if (!rate->interval) return 0;
    uint64_t full_at = (c->full_at > now ? c->full_at : now) + rate->interval;
    if (full_at - now > rate->window) return full_at - now - rate->window;
    c->full_at = full_at;
    return 0;
}
