#pragma once
/* The lines between the parts of a multipart body (RFC 2046, 5.1.1). */

#include "base/slice.h"

/* How many bytes at the start of `window` belong to no delimiter, whatever follows it. *found: one
 * begins right after them. A delimiter begins with its line end, "\r\n--". */
size_t delimiter_find(slice delimiter, slice window, bool *found);
