/* The statements that a connection has prepared, found by their text; the ones used least recently
 * make room. */

#include "client/pg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a. */
uint32_t pg_hash(const char *sql)
{
    uint32_t h = 2166136261u;
    for (; *sql; sql++) h = (h ^ (unsigned char)*sql) * 16777619u;
    return h;
}

static struct pg_prepared **bucket_of(const struct pg_cache *c, uint32_t hash)
{
    return &c->bucket[hash & (c->buckets - 1)];
}

int pg_cache_open(struct pg_cache *c, uint32_t max)
{
    *c = (struct pg_cache){.buckets = 16, .max = max};
    list_init(&c->used);
    while (c->buckets < max && c->buckets < 1u << 16) c->buckets *= 2;
    c->bucket = calloc(c->buckets, sizeof *c->bucket);
    return c->bucket ? 0 : -ENOMEM;
}

void pg_cache_close(struct pg_cache *c)
{
    struct list *next;
    for (struct list *l = c->used.next; l != &c->used; l = next) {
        next = l->next;
        free(container_of(l, struct pg_prepared, used));
    }
    free(c->bucket);
    free(c->useless);
}

struct pg_prepared *pg_cache_find(const struct pg_cache *c, const char *sql, uint32_t hash)
{
    struct pg_prepared *p = *bucket_of(c, hash);
    while (p && (p->hash != hash || strcmp(p->sql, sql) != 0)) p = p->next;
    return p;
}

void pg_cache_use(struct pg_cache *c, struct pg_prepared *p)
{
    list_unlink(&p->used);
    list_push(&c->used, &p->used);
}

/* Frees it unless a flight needs it. */
static void free_unused(struct pg_prepared *p)
{
    if (p->dropped && p->flights == 0) free(p);
}

void pg_cache_drop(struct pg_cache *c, struct pg_prepared *p)
{
    if (p->dropped) return;
    struct pg_prepared **at = bucket_of(c, p->hash);
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    list_unlink(&p->used);
    c->count--;
    p->dropped = true;
    free_unused(p);
}

void pg_cache_drop_all(struct pg_cache *c)
{
    while (!list_empty(&c->used))
        pg_cache_drop(c, container_of(c->used.next, struct pg_prepared, used));
    c->n_useless = 0;
}

void pg_cache_add_useless(struct pg_cache *c, uint32_t id)
{
    if (c->n_useless == c->room) {
        uint32_t room = c->room ? 2 * c->room : 8;
        uint32_t *more = realloc(c->useless, room * sizeof *more);
        if (!more) return;
        c->useless = more;
        c->room = room;
    }
    c->useless[c->n_useless++] = id;
}

uint32_t pg_cache_take_useless(struct pg_cache *c)
{
    return c->n_useless > 0 ? c->useless[--c->n_useless] : 0;
}

void pg_cache_release(struct pg_prepared *p)
{
    p->flights--;
    free_unused(p);
}

struct pg_prepared *pg_cache_add(struct pg_cache *c, const char *sql, uint32_t hash)
{
    size_t size = strlen(sql) + 1;
    struct pg_prepared *p = malloc(sizeof *p + size);
    if (!p) return NULL;
    if (c->count >= c->max) {
        struct pg_prepared *oldest = container_of(c->used.next, struct pg_prepared, used);
        pg_cache_add_useless(c, oldest->id);
        pg_cache_drop(c, oldest);
    }
    *p = (struct pg_prepared){.hash = hash, .id = ++c->last_id};
    memcpy(p->sql, sql, size);
    struct pg_prepared **bucket = bucket_of(c, hash);
    p->next = *bucket;
    *bucket = p;
    list_init(&p->used);
    list_push(&c->used, &p->used);
    c->count++;
    return p;
}
