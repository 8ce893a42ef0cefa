#pragma once
/* The parsed head of a request: method, target, version, fields, and the framing of the body. It is
 * all that the rest of the server sees of a parser. */

#include "base/slice.h"

/* What a head may have; more is answered with 431. */
struct head_limits {
    uint32_t bytes;  /* of request line and fields, HEAD_BYTES_MIN to HEAD_BYTES_MAX */
    uint16_t fields; /* up to HEAD_FIELDS_MAX */
};

enum {
    HEAD_BYTES_MIN = 1024,
    HEAD_BYTES_MAX = 64 * 1024, /* offsets into head.text have 16 bits */
    HEAD_FIELDS_MAX = 1000,
    METHOD_MAX = 32, /* bytes of a method that is kept; those that are served have at most nine */
    HEAD_OWN_FIELDS = 32, /* more than browsers and proxies send */
};

/* A field line, as offsets into head.text. */
struct head_field {
    uint16_t name, name_len, value, value_len;
};

struct head {
    char *text;              /* target, field names and values, concatenated */
    slice method_name;       /* as sent; lives as long as `text`; absent if it was not parsed */
    uint64_t content_length; /* of the body; 0 if chunked or absent */
    uint16_t target_len;     /* the target begins at text[0] */
    uint16_t n_fields;
    int8_t method;   /* enum http_method; -1 for an unsupported one */
    int8_t minor;    /* of HTTP/1.x; -1 if the version was not parsed */
    bool has_body;   /* a body follows */
    bool chunked;    /* the body is chunked */
    bool keep_alive; /* the connection persists (RFC 9112, 9.3) */
    struct head_field own_field[HEAD_OWN_FIELDS];
    struct head_field *more_field; /* those after HEAD_OWN_FIELDS, if there are; in the arena */
};

static inline const struct head_field *head_field(const struct head *h, size_t i)
{
    return LIKELY(i < HEAD_OWN_FIELDS) ? &h->own_field[i] : &h->more_field[i - HEAD_OWN_FIELDS];
}

static inline slice head_target(const struct head *h)
{
    return slice_of(h->text, h->target_len);
}

static inline slice head_field_name(const struct head *h, size_t i)
{
    const struct head_field *f = head_field(h, i);
    return slice_of(h->text + f->name, f->name_len);
}

/* Without trailing white space; parsers omit leading white space. */
static inline slice head_value_at(const char *text, const struct head_field *f)
{
    slice v = slice_of(text + f->value, f->value_len);
    while (v.len && (v.ptr[v.len - 1] == ' ' || v.ptr[v.len - 1] == '\t')) v.len--;
    return v;
}

static inline slice head_field_value(const struct head *h, size_t i)
{
    return head_value_at(h->text, head_field(h, i));
}

/* The value of the first field of that name, case-insensitive; absent if there is none. */
static inline slice head_find(const struct head *h, slice name)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (slice_ieq(head_field_name(h, i), name)) return head_field_value(h, i);
    return (slice){NULL, 0};
}

/* "HTTP/1.1" or "HTTP/1.0"; absent if it was not parsed. */
static inline slice head_version(const struct head *h)
{
    if (h->minor < 0) return (slice){NULL, 0};
    return h->minor ? SLICE("HTTP/1.1") : SLICE("HTTP/1.0");
}
