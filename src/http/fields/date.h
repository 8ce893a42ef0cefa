#pragma once
/* HTTP dates (RFC 9110, 5.6.7). No locale, no time zone, no libc calendar. */

#include "base/slice.h"

#include <time.h>

enum { HTTP_DATE_LEN = 29 };

/* Writes "Sun, 06 Nov 1994 08:49:37 GMT", without a NUL. `t` is in seconds since 1970; times
 * outside the years 1970 to 9999, which a file may have, are clamped. */
void http_date_format(time_t t, char out[HTTP_DATE_LEN]);

/* Parses any of the three formats: IMF-fixdate, RFC 850, asctime. The day must exist; the weekday
 * must be valid but is not checked against the date. On false *out is unchanged. */
bool http_date_parse(slice s, time_t *out);

/* Likewise, but interprets a two-digit year relative to `now` instead of the clock: as the latest
 * matching year at most 50 years ahead. */
bool http_date_parse_at(slice s, time_t now, time_t *out);
