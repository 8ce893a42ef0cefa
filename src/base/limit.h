#pragma once
/* Which limit of the process has refused something: the error alone does not tell, or tells of
 * another one. Hints for a message, such as " (the limit of address space: ulimit -v)"; "" where
 * none is known. They are found by trying, so ask at once. */

#include <stddef.h>

/* After ENOMEM: the limit that leaves no room for `size` bytes more. */
const char *limit_of_memory(size_t size);

/* After this errno of pthread_create, which makes EAGAIN of a stack without room, too. */
const char *limit_of_thread(int err);
