#pragma once
/* File operations shared by the engines: how files are opened, and plain system calls for engines
 * without asynchronous files. */

#include "io/io.h"

struct open_how;

/* The openat2(2) argument for an IO_OPEN; static memory. */
const struct open_how *file_how(const struct io_call *c);

/* The flags of openat(2) for an IO_CREATE. */
int file_create_flags(const struct io_call *c);

/* The flags of renameat2(2) for an IO_RENAME. */
unsigned file_rename_flags(const struct io_call *c);

/* Finishes an IO_OPEN or IO_CREATE whose system call returned `fd` (or negative errno): fills in
 * `st`. Returns the result of the operation. */
int file_opened(struct stat *st, int fd);

/* Performs an IO_OPEN synchronously. Where openat2 is refused it opens with walk_open. Any thread
 * may call it. */
int file_open_here(const struct io *io, const struct io_call *c);

/* The same if no disk has to be asked: -EAGAIN if one has, -EOPNOTSUPP if the kernel does not tell.
 */
int file_open_cached(const struct io *io, const struct io_call *c);

/* What a probe of openat2 opens: something that always exists, below the working directory. */
#define FILE_PROBE_PATH "."

/* Whether the openat2 that opened FILE_PROBE_PATH as `fd`, or failed with a negative errno, is
 * refused altogether. Closes `fd`. */
bool file_openat2_refused(int fd);

/* Sets config->walk by trying the system call. */
void file_probe(struct io_config *config);

/* Performs a file or memory operation synchronously and returns its result; -EINVAL for other
 * kinds. */
int file_call(const struct io *io, const struct io_call *c);
