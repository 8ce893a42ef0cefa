#pragma once
/* Finds the open files for a path: in the core's cache, or by openat2, which confines the path to
 * a directory. */

#include "files/cache.h"
#include "http/request.h"

/* An open directory. */
struct static_dir {
    int fd;
    unsigned refs;    /* of its place, and of the lookups that use it */
    uint64_t id;      /* number of the directory, on this core */
    bool in_memory;   /* see opening.h */
    uint64_t expires; /* io time */
};

/* State of one core, on cache lines of its own. A core may have a private descriptor table, so only
 * its thread can close what it has opened; an exit hook does. */
struct static_core {
    _Alignas(64) struct file_cache cache;
    struct list places; /* directories by name, most recently used first */
    uint32_t n_places;
    uint64_t last_id;          /* number of the directory that was met last */
    struct wheel_timer expiry; /* armed while anything is open */
    struct io *io;             /* io of the core, once it has opened anything */
    struct exit_hook end;
};

/* 0 or -ENOMEM. */
int static_core_init(struct static_core *core, const struct file_cache_limits *limits);

/* Frees the cache; asserts that the core has closed its files. */
void static_core_free(struct static_core *core);

/* The next request for the file opens it again. */
void static_forget(struct static_core *core, struct static_file *f);

/* WAITS. Finds the file for a decoded path below the directory `dir`, which is looked up again when
 * it was for longer than an open file is used; "" or a trailing slash mean index.html of a
 * directory. Returns 0 and a reference in *file; or the status to respond with: 301 for a directory
 * without its slash, 400 for a NUL in the path, 404 for a missing or hidden file, 403, 500, 503; or
 * the negative errno of a cancelled scope.
 *
 * A component that is empty or begins with a dot (including "..") is 404, except ".well-known" (RFC
 * 8615). Symbolic links are followed if they are relative and stay below the directory. */
int static_find(torc_req *rq, const char *dir, slice path, struct static_file **file);
