#pragma once
/* HTTP dates (RFC 9110, 5.6.7). No locale, no time zone, no libc calendar. */

#include "base/slice.h"

#include <time.h>

enum { HTTP_DATE_LEN = 29 };

/* "Sun, 06 Nov 1994 08:49:37 GMT", without a NUL. `t` is in seconds since 1970; what lies outside
 * the years 1970 to 9999 (as a file's time may) is taken to the nearer end. */
void http_date_format(time_t t, char out[HTTP_DATE_LEN]);

/* Any of the three forms: IMF-fixdate, RFC 850, asctime. The day must exist; the name of the
 * weekday must be one, but is not compared with the date. False leaves *out alone. */
bool http_date_parse(slice s, time_t *out);

/* The same, where a two-digit year is judged as of `now` instead of the clock: it stands for the
 * latest such year that is not more than 50 years ahead. */
bool http_date_parse_at(slice s, time_t now, time_t *out);
