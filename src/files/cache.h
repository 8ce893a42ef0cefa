#pragma once
/* Cache of a core's open files, by directory and request path. An entry is valid for a fixed time
 * and is then closed, used or not, so that changes to files show soon and a deleted file frees its
 * space. Beyond a number of descriptors, the least recently used entries are evicted. */

#include "files/file.h"

struct file_cache {
    struct static_file **bucket; /* hash buckets, chained; NULL if the cache is off */
    uint32_t mask;
    struct list by_use; /* least recently used first */
    struct list by_age; /* oldest first, hence first to expire, as all have the same ttl */
    uint32_t open;      /* descriptors held by the entries */
    uint32_t max_open;
    uint64_t ttl; /* ns */
};

struct file_cache_limits {
    uint32_t max_open; /* descriptors per core */
    uint64_t ttl;      /* ns that an open file and its metadata are used, at most a second */
};

/* With max_open or ttl 0 the cache is off. 0 or -ENOMEM. */
int file_cache_init(struct file_cache *c, uint32_t max_open, uint64_t ttl);

/* Removes all entries; asserts that nobody else holds their files. */
void file_cache_clear(struct file_cache *c);

/* Frees the memory of an empty cache. */
void file_cache_free(struct file_cache *c);

/* Returns a reference that the caller must release, or NULL. */
struct static_file *file_cache_find(struct file_cache *c, uint64_t dir, slice path, uint64_t now);

/* Adds the file and replaces one with the same directory and path. `seen` is the io time before the
 * file was opened. The cache takes a reference of its own. */
void file_cache_add(struct file_cache *c, struct static_file *f, uint64_t seen);

/* Removes the file, if it is there; the caller holds a reference. */
void file_cache_forget(struct file_cache *c, struct static_file *f);

/* Removes the least recently used entry; false if there is none. */
bool file_cache_evict(struct file_cache *c);

/* Removes expired entries. Returns the io time at which the next one expires, UINT64_MAX if there
 * is none. */
uint64_t file_cache_expire(struct file_cache *c, uint64_t now);
