#include "load/reference.h"

#include <stdlib.h>

enum {
    REFERENCE_MAX = 16 * 1024, /* bytes of a reply */
    MISSES_MAX = 16,
    DATE_LEN = 29, /* of an IMF-fixdate (RFC 9110, 5.6.7) */
};

static bool same_bytes(const struct reference *r, slice in)
{
    if (in.len < r->len || memcmp(in.ptr, r->bytes, r->date) != 0) return false;
    uint32_t rest = r->date + DATE_LEN;
    return r->date == r->len || memcmp(in.ptr + rest, r->bytes + rest, r->len - rest) == 0;
}

uint32_t reference_match(struct reference *r, slice in)
{
    if (r->len == 0) return 0;
    if (LIKELY(same_bytes(r, in))) {
        r->misses = 0;
        return r->len;
    }
    return 0;
}

static uint32_t find_date(slice reply)
{
    static const char name[] = "\r\ndate: ";
    const char *end = memmem(reply.ptr, reply.len, "\r\n\r\n", 4);
    size_t n = sizeof name - 1, head = end ? (size_t)(end - reply.ptr) : 0;
    for (size_t i = 0; i + n + DATE_LEN <= head; i++)
        if (slice_ieq(slice_of(reply.ptr + i, n), slice_of(name, n)))
            return reply.ptr[i + n + DATE_LEN] == '\r' ? (uint32_t)(i + n) : (uint32_t)reply.len;
    return (uint32_t)reply.len;
}

void reference_learn(struct reference *r, slice reply, const struct response_parser *parsed)
{
    if (reply.len > REFERENCE_MAX || !parsed->keep_alive || r->misses >= MISSES_MAX) return;
    if (r->len) r->misses++;
    if (reply.len > r->cap) {
        char *more = realloc(r->bytes, reply.len);
        if (!more) return;
        r->bytes = more;
        r->cap = (uint32_t)reply.len;
    }
    memcpy(r->bytes, reply.ptr, reply.len);
    r->len = r->misses < MISSES_MAX ? (uint32_t)reply.len : 0;
    r->date = find_date(reply);
    r->status = parsed->status;
}

void reference_free(struct reference *r)
{
    free(r->bytes);
}
