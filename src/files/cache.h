#pragma once
/* The open files of one core, by the path asked for. An entry is trusted for a fixed time and then
 * closed, used or not, so that what happens to the files shows soon and a deleted one gives its
 * space back. Past a number of descriptors the least recently used entries go first. */

#include "files/file.h"

struct file_cache {
    struct static_file **bucket; /* chained; NULL where nothing is cached */
    uint32_t mask;
    struct list by_use; /* least recently used first */
    struct list by_age; /* oldest first, so about the first to expire: all have the same time */
    uint32_t open;      /* descriptors of the entries */
    uint32_t max_open;
    uint64_t ttl; /* ns */
};

struct file_cache_limits {
    uint32_t max_open; /* descriptors of a core's cache */
    uint64_t ttl;      /* ns that an open file and its metadata are trusted, at most a second */
};

/* With max_open or ttl 0 it stays empty. 0 or -ENOMEM. */
int file_cache_init(struct file_cache *c, uint32_t max_open, uint64_t ttl);

/* Lets go of everything; asserts that nobody but the cache holds its files. */
void file_cache_clear(struct file_cache *c);

/* Frees an empty cache's own memory. */
void file_cache_free(struct file_cache *c);

/* A reference for the caller to give back, or NULL. */
struct static_file *file_cache_find(struct file_cache *c, slice path, uint64_t now);

/* Keeps the file from now on, in place of one with the same path. `seen` is the io time before
 * which nothing of it was looked at; the caller's reference stays the caller's. */
void file_cache_add(struct file_cache *c, struct static_file *f, uint64_t seen);

/* Lets go of the least recently used entry; false when there is none. */
bool file_cache_evict(struct file_cache *c);

/* Lets go of what has expired; the io time at which the next entry does, UINT64_MAX without one. */
uint64_t file_cache_expire(struct file_cache *c, uint64_t now);
