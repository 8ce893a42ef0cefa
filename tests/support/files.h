#pragma once
/* Files in a temporary directory, for --root and the like. */

#include <stddef.h>

/* Creates a directory; its name is malloc'ed. */
char *files_open(void);

/* Removes the directory and its content, and frees its name. */
void files_close(char *dir);

/* dir/name; malloc'ed. */
char *files_path(const char *dir, const char *name);

/* Creates or replaces dir/name. */
void files_write(const char *dir, const char *name, const void *data, size_t n);

/* Writes dir/name with `n` bytes; the byte at offset i is files_byte(i). */
void files_fill(const char *dir, const char *name, size_t n);

/* Reads a whole file and appends a NUL; malloc'ed; NULL if it does not exist. */
char *files_read(const char *path);

/* The number of open descriptors of this process, to be compared with another. */
unsigned files_descriptors(void);

static inline char files_byte(size_t at)
{
    return (char)('a' + (at * 7 + at / 251) % 26);
}
