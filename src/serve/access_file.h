#pragma once
/* The file that an access log is written to. */

#include <stdbool.h>

/* What `--access-log` names; NULL for stdout. */
const char *access_file_path(const char *option);

/* `path` as of access_file_path. A descriptor, or -1 and errno. */
int access_file_open(const char *path);

/* 0 if access_file_open would succeed now, or a negative errno; makes and opens nothing, as a
 * FIFO's reader would take that for its end. Whether a FIFO has a reader is not looked at. */
int access_file_check(const char *path);

/* Whether writing to it does not wait for a reader. */
bool access_file_regular(int fd);

/* A file that a log moves to. */
struct access_move {
    char *path; /* NULL for stdout */
    int fd;     /* or -1 */
};

/* Opens the file that `option` names. NULL and errno if that fails. */
struct access_move *access_move_new(const char *option);

/* Closes the descriptor, too. NULL is allowed. */
void access_move_free(struct access_move *m);

/* Whether both are of the same file; not if the first is negative. */
bool access_file_same(int before, int fd);
