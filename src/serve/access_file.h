#pragma once
/* The file that an access log is written to. */

#include <stdbool.h>

/* What `--access-log` names; NULL for stdout. */
const char *access_file_path(const char *option);

/* `path` as of access_file_path. A descriptor, or -1 and errno. */
int access_file_open(const char *path);

/* Whether writing to it does not wait for a reader. */
bool access_file_regular(int fd);

/* Whether both are of the same file; not if the first is negative. */
bool access_file_same(int before, int fd);
