#include "files/cache.h"

#include <errno.h>
#include <stdlib.h>

/* FNV-1a. Clients cannot choose colliding keys: only paths of existing files are added. */
static uint32_t hash_of(uint64_t dir, slice path)
{
    uint32_t hash = 2166136261u ^ (uint32_t)dir;
    for (size_t i = 0; i < path.len; i++) hash = (hash ^ (unsigned char)path.ptr[i]) * 16777619u;
    return hash ^ hash >> 16;
}

int file_cache_init(struct file_cache *c, uint32_t max_open, uint64_t ttl)
{
    *c = (struct file_cache){.max_open = max_open, .ttl = ttl};
    list_init(&c->by_use);
    list_init(&c->by_age);
    if (max_open == 0 || ttl == 0) return 0;
    size_t buckets = 1;
    while (buckets < max_open) buckets *= 2;
    c->bucket = calloc(buckets, sizeof *c->bucket);
    if (!c->bucket) return -ENOMEM;
    c->mask = (uint32_t)(buckets - 1);
    return 0;
}

static void remove_entry(struct file_cache *c, struct static_file *f)
{
    struct static_file **at = &c->bucket[f->hash & c->mask];
    while (*at != f) at = &(*at)->next;
    *at = f->next;
    list_unlink(&f->by_use);
    list_unlink(&f->by_age);
    c->open -= (uint32_t)f->n_versions;
    static_file_release(f);
}

void file_cache_clear(struct file_cache *c)
{
    while (!list_empty(&c->by_age)) {
        struct static_file *f = container_of(c->by_age.next, struct static_file, by_age);
        ASSERT(f->refs == 1);
        remove_entry(c, f);
    }
}

void file_cache_free(struct file_cache *c)
{
    ASSERT(c->open == 0 && list_empty(&c->by_age));
    free(c->bucket);
    c->bucket = NULL;
}

static struct static_file *lookup(const struct file_cache *c, uint64_t dir, slice path,
                                  uint32_t hash)
{
    struct static_file *f = c->bucket[hash & c->mask];
    while (f && (f->hash != hash || f->dir != dir || !slice_eq(f->path, path))) f = f->next;
    return f;
}

struct static_file *file_cache_find(struct file_cache *c, uint64_t dir, slice path, uint64_t now)
{
    if (!c->bucket) return NULL;
    struct static_file *f = lookup(c, dir, path, hash_of(dir, path));
    if (!f) return NULL;
    if (now >= f->expires) {
        remove_entry(c, f);
        return NULL;
    }
    if (c->by_use.prev != &f->by_use) {
        list_unlink(&f->by_use);
        list_push(&c->by_use, &f->by_use);
    }
    f->refs++;
    return f;
}

void file_cache_forget(struct file_cache *c, struct static_file *f)
{
    if (!list_empty(&f->by_age)) remove_entry(c, f);
}

bool file_cache_evict(struct file_cache *c)
{
    if (list_empty(&c->by_use)) return false;
    remove_entry(c, container_of(c->by_use.next, struct static_file, by_use));
    return true;
}

void file_cache_add(struct file_cache *c, struct static_file *f, uint64_t seen)
{
    if (!c->bucket || (uint32_t)f->n_versions > c->max_open) return;
    f->hash = hash_of(f->dir, f->path);
    struct static_file *old = lookup(c, f->dir, f->path, f->hash);
    if (old) remove_entry(c, old);
    while (c->open + (uint32_t)f->n_versions > c->max_open) file_cache_evict(c);

    f->expires = seen + c->ttl;
    f->next = c->bucket[f->hash & c->mask];
    c->bucket[f->hash & c->mask] = f;
    list_push(&c->by_use, &f->by_use);
    list_push(&c->by_age, &f->by_age);
    c->open += (uint32_t)f->n_versions;
    f->refs++;
}

uint64_t file_cache_expire(struct file_cache *c, uint64_t now)
{
    while (!list_empty(&c->by_age)) {
        struct static_file *f = container_of(c->by_age.next, struct static_file, by_age);
        if (now < f->expires) return f->expires;
        remove_entry(c, f);
    }
    return UINT64_MAX;
}
