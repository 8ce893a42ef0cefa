#pragma once
/* Media types by file name. */

#include "base/slice.h"

/* The Content-Type for a path, by the extension of its last segment, case-insensitive; text types
 * include charset=utf-8. A name that only begins with a dot has no extension. Without a known
 * extension, "application/octet-stream". Static memory. */
slice mime_type(slice path);
