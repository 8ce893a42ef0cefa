#pragma once
/* A file that an option names. */

#include "base/slice.h"

enum { INPUT_MAX = 1 << 30 };

/* Reads all of it, at most INPUT_MAX bytes. 0, or a negative errno. What it allocates is never
 * freed. */
int input_read(const char *path, slice *out);
