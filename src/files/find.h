#pragma once
/* From a path to open files: the cache of the core, then openat2, which nothing gets out of. */

#include "files/cache.h"
#include "http/request.h"

/* One core's; a cache line is never two cores'. A core may have a table of descriptors of its own,
 * so what its thread has opened only that thread can close: it does at its end. */
struct static_core {
    _Alignas(64) struct file_cache cache;
    struct wheel_timer expiry; /* armed while the cache holds anything */
    struct io *io;             /* of the core, once it has kept a file */
    struct exit_hook end;
};

/* 0 or -ENOMEM. */
int static_core_init(struct static_core *core, const struct file_cache_limits *limits);

/* Frees what is left; asserts that the core has closed what it kept. */
void static_core_free(struct static_core *core);

/* The file for a decoded path below the directory `dirfd`; "" or a slash at the end mean index.html
 * of a directory. May wait. 0 and a reference in *file; or the status that answers: 301 for a
 * directory without its slash, 400 for a NUL in the path, 404 for what is not there or not to be
 * seen, 403, 500, 503; or -ECANCELED.
 *
 * A component that is empty or begins with a dot (".." among them) is 404, ".well-known" (RFC 8615)
 * apart. Symbolic links are followed as long as they are relative and stay below the directory. */
int static_find(torc_req *rq, struct static_core *core, int dirfd, slice path,
                struct static_file **file);
