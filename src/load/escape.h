#pragma once
/* Bytes of the wire as text for a message. */

#include "base/slice.h"

/* Writes `bytes` as printable ASCII with C's escapes, and a NUL; "..." where not all of it fits
 * into `size`, which is more than 8. */
void escape(slice bytes, char *to, size_t size);
