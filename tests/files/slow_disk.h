#pragma once
/* A directory whose files are on a disk that waits, or fails, when a test says so: a file system of
 * this process (FUSE), served by a thread. It is mounted where only this process and its children
 * see it. */

#include <stdbool.h>
#include <stddef.h>

enum {
    DISK_FILES = 100,            /* named "0" to "99"; of DISK_SIZE bytes, see files_byte */
    DISK_SIZE = 1200 * 1000 + 7, /* not of whole pages */
    DISK_FRESH = 90              /* from this one on, the kernel asks for the name each time */
};

enum disk_mode {
    DISK_SERVES,
    DISK_WAITS, /* reads and writes are answered once it serves, or fails */
    DISK_HIDES, /* and so are names */
    DISK_FAILS, /* reads at and behind the middle of a file are answered with EIO */
};

/* Mounts it at `path`. False where the system does not allow that. Call before other threads or
 * processes are started. */
bool slow_disk_open(const char *path);

void slow_disk_set(enum disk_mode mode);

/* While it waits: answers the reads of one file, now and later. */
void slow_disk_release(unsigned file);

/* Reads, writes or names that wait, and whether one of this file does. */
unsigned slow_disk_waiting(void);
bool slow_disk_waits_for(unsigned file);

void slow_disk_close(void);
