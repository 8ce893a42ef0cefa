#pragma once
/* Entity-tag comparison for If-Match, If-None-Match and If-Range (RFC 9110, 8.8.3.2 and 13.1). */

#include "base/slice.h"

/* Whether `field` names `etag` ("\"abc\"" or "W/\"abc\"", quotes included). "*" matches any, also
 * where `etag` is absent. A list with anything malformed in it matches nothing. If-Match and
 * If-Range compare strongly, If-None-Match weakly. */
bool etag_match(slice field, slice etag, bool weak_compare);
