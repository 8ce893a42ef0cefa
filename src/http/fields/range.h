#pragma once
/* Range requests for bytes (RFC 9110, 14). */

#include "base/slice.h"

struct http_range {
    uint64_t from, to; /* bytes, both inclusive; from <= to < size */
};

enum { RANGES_MAX = 16 }; /* per field, unsatisfiable ones included */

/* The satisfiable ranges of a Range field for a representation of `size` bytes, in the order asked:
 * their count, 1 or more; -1 when there are none (416); 0 when the field is to be ignored (200): an
 * unknown unit, malformed, too many, more than 2 × size bytes in all (overlaps that cost more than
 * they can be worth), or a suffix of nothing, which is all of it. */
int range_parse(slice field, uint64_t size, struct http_range out[RANGES_MAX]);
