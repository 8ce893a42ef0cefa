#pragma once
/* Media types by file name. */

#include "base/slice.h"

/* The value of Content-Type for a path, by the extension of its last segment in any case; text
 * types say charset=utf-8. A name that only begins with a dot has no extension. Without a known one
 * "application/octet-stream". Static memory. */
slice mime_type(slice path);
