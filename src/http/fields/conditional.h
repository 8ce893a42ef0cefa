#pragma once
/* Entity-tag comparison for If-Match, If-None-Match and If-Range (RFC 9110, 8.8.3.2 and 13.1). */

#include "base/slice.h"

/* Whether `field` lists `etag` ("\"abc\"" or "W/\"abc\"", quotes included). "*" matches any, even
 * an absent `etag`. A malformed list matches nothing. If-Match and If-Range use strong comparison,
 * If-None-Match weak. */
bool etag_match(slice field, slice etag, bool weak_compare);
