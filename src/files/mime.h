#pragma once
/* Media types by file name. */

#include "base/slice.h"

/* The Content-Type for a path, by the extension of its last segment, case-insensitive; text types
 * include charset=utf-8. A name that only begins with a dot has no extension. Without a known
 * extension, "application/octet-stream". Static memory. */
slice mime_type(slice path);

/* The content coding that a file of this name has by itself: "gzip" for ".svgz", whose media type
 * is that of the SVG within (RFC 9110, 8.4). Absent for any other; the type of an archive such as
 * ".tgz" is that of the archive. Static memory. */
slice mime_coding(slice path);
