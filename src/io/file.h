#pragma once
/* Files, as every engine has them: how one is opened, and the plain calls of an engine that has no
 * other. */

#include "io/io.h"

struct open_how;

/* For openat2(2) of an IO_OPEN; static memory. */
const struct open_how *file_how(const struct io_call *c);

/* After an IO_OPEN has given this descriptor, or negative errno: looks at the file. The result of
 * the operation. */
int file_opened(const struct io_call *c, int fd);

/* Performs an operation on a file or on memory at once: its result, -EINVAL where it is of another
 * kind. */
int file_call(const struct io_call *c);
