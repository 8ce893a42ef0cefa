#pragma once
/* File operations shared by the engines: how files are opened, and plain system calls for engines
 * without asynchronous files. */

#include "io/io.h"

struct open_how;

/* The openat2(2) argument for an IO_OPEN; static memory. */
const struct open_how *file_how(const struct io_call *c);

/* Finishes an IO_OPEN whose openat2 returned `fd` (or negative errno): fills in c->open.stat.
 * Returns the result of the operation. */
int file_opened(const struct io_call *c, int fd);

/* Performs a file or memory operation synchronously and returns its result; -EINVAL for other
 * kinds. */
int file_call(const struct io_call *c);
