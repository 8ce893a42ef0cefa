#pragma once
/* Opens a file below a directory where openat2(2) is refused. */

/* As openat2 with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS: neither `..` nor a link leaves
 * `dirfd`, whatever others rename meanwhile; an absolute link is -EXDEV. `flags` as for openat(2).
 * Waits for the file system. A descriptor or negative errno; -EAGAIN if a rename interfered. */
int walk_open(int dirfd, const char *path, int flags);
