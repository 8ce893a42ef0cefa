#pragma once
/* Opens files and directories for a core, and keeps it from waiting for their names: one that the
 * kernel has to look up on a disk is opened by another thread, where the engine cannot. */

#include "files/cache.h"
#include "http/request.h"

/* WAITS. As IO_OPEN; closes cached files if there are too many descriptors. `in_memory`: no name
 * below that directory is on a disk. */
int opening_open(torc_req *rq, struct file_cache *cache, const struct io_call *how, bool in_memory);

/* WAITS. Whether the directory is of a file system in memory. These know nothing of names that do
 * not exist: each looks as if a disk had to be asked (RESOLVE_CACHED). False where nobody asks. */
bool opening_in_memory(torc_req *rq, int dirfd);
