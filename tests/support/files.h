#pragma once
/* Files for a server's --root and the like, below a directory of the test's own. */

#include <stddef.h>

/* A new directory; malloc'ed. */
char *files_open(void);

/* Removes the directory and what is in it, and frees its name. */
void files_close(char *dir);

/* dir/name; malloc'ed. */
char *files_path(const char *dir, const char *name);

/* Writes dir/name anew. */
void files_write(const char *dir, const char *name, const void *data, size_t n);

/* Writes dir/name with `n` bytes of which each is files_byte of its offset. */
void files_fill(const char *dir, const char *name, size_t n);

/* The whole of a file with a NUL behind it; malloc'ed; NULL where there is none. */
char *files_read(const char *path);

static inline char files_byte(size_t at)
{
    return (char)('a' + (at * 7 + at / 251) % 26);
}
