#pragma once
/* Byte ranges (RFC 9110, 14). */

#include "base/slice.h"

struct http_range {
    uint64_t from, to; /* bytes, both inclusive; from <= to < size */
};

enum { RANGES_MAX = 16 }; /* per field, including unsatisfiable ones */

/* Parses a Range field for a representation of `size` bytes. Returns the number of satisfiable
 * ranges, in the order requested; -1 if none is satisfiable (416); 0 if the field must be ignored
 * (200): unknown unit, malformed, too many ranges, more than 2 × size bytes in total (overlaps that
 * cost more than they are worth), or a suffix of an empty representation. */
int range_parse(slice field, uint64_t size, struct http_range out[RANGES_MAX]);
