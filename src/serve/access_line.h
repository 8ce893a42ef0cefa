#pragma once
/* A line of the access log, written where the log's ring has room for it.
 *
 * What the client sent can be told again to the byte. The combined format is ASCII, and has \xXX
 * for each byte that is not printable or is one of '"' and '\'. The JSON format is UTF-8, with
 * base/json.h's escapes. */

#include "http/request.h"
#include "serve/options.h"

enum {
    ACCESS_RING = 1 << 20, /* bytes; positions in it go on and wrap around */
    ACCESS_TIME_MAX = 64,
};

/* What is known of a request, whose the slices are; all but the status may be absent. */
struct access_entry {
    slice peer, method, target, version, host, referer, agent;
    uint64_t status, bytes, duration_us;
};

struct access_entry access_entry_of(const struct torc_req *rq, const char *peer, uint64_t bytes);

/* Bytes that its line has at most. */
size_t access_line_most(const struct access_entry *e);

/* This second in the local time zone, as the format has it. Returns its length. */
uint32_t access_time(enum log_format format, time_t second, char out[ACCESS_TIME_MAX]);

/* Writes the line to ring position `at`; returns the position behind it. */
size_t access_line_put(char *ring, size_t at, enum log_format format, const struct access_entry *e,
                       slice time);
