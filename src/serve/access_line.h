#pragma once
/* Formats a line of the access log into the ring buffer of a core.
 *
 * Both formats keep every byte that the client sent. The combined format is ASCII and has \xXX for
 * '"', '\' and bytes that are not printable. The JSON format is UTF-8 with the escapes of
 * base/json.h.
 *
 * A request that was aborted has the word for it as "end" in the JSON format, and
 * after all other fields in the combined one. */

#include "http/request.h"
#include "serve/options.h"

enum {
    ACCESS_BUFFER_SIZE = 4 << 20, /* bytes; positions are taken modulo this */
    ACCESS_TIME_MAX = 64,
    ACCESS_NO_STATUS = 499, /* logged where a request ended before it had a status */
};

/* The logged properties of a request, which owns the slices. Any slice may be absent. */
struct access_entry {
    slice peer, method, target, version, host, referer, agent;
    uint64_t status, bytes, duration_us;
    enum http_end end;
};

/* Of a request that ends at `now`. */
struct access_entry access_entry_from(const struct torc_req *rq, const char *peer, uint64_t bytes,
                                      enum http_end end, uint64_t now);

/* The maximum size of its line. */
size_t access_line_bound(const struct access_entry *e);

/* Formats a second in the local time zone. Returns the length. */
uint32_t access_time(enum log_format format, time_t second, char out[ACCESS_TIME_MAX]);

/* Writes the line at position `at` of the ring buffer; returns the position after it. */
size_t access_line_write(char *buffer, size_t at, enum log_format format,
                         const struct access_entry *e, slice time);

/* The lines that end between two places of the ring. */
uint64_t access_line_count(const char *ring, size_t from, size_t to);
