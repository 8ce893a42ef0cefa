#pragma once
/* The head of a message, the only thing that leaves a parser: who asked for what, in which version,
 * with which fields, and how the body is framed. */

#include "base/slice.h"

enum { HEAD_FIELDS_MAX = 100 };

/* A field line, as places in head.text. */
struct head_field {
    uint16_t name, name_len, value, value_len;
};

struct head {
    char *text;              /* target, names and values, one after the other */
    slice method_name;       /* as sent; static memory; absent where none was read */
    uint64_t content_length; /* of the body; 0 where it is chunked or there is none */
    uint16_t target_len;     /* the target begins at text[0] */
    uint16_t n_fields;
    int8_t method;   /* enum http_method; -1 for one that is not served */
    int8_t minor;    /* of HTTP/1.x; -1 where the version was not read */
    bool has_body;   /* a body follows */
    bool chunked;    /* in chunks */
    bool keep_alive; /* the client lets the connection live on */
    struct head_field field[HEAD_FIELDS_MAX];
};

static inline slice head_target(const struct head *h)
{
    return slice_of(h->text, h->target_len);
}

static inline slice head_field_name(const struct head *h, size_t i)
{
    return slice_of(h->text + h->field[i].name, h->field[i].name_len);
}

/* Without the white space after it; parsers leave out what is before. */
static inline slice head_field_value(const struct head *h, size_t i)
{
    slice v = slice_of(h->text + h->field[i].value, h->field[i].value_len);
    while (v.len && (v.ptr[v.len - 1] == ' ' || v.ptr[v.len - 1] == '\t')) v.len--;
    return v;
}

/* The value of the first field of that name, in any case; absent without one. */
static inline slice head_find(const struct head *h, slice name)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (slice_ieq(head_field_name(h, i), name)) return head_field_value(h, i);
    return (slice){NULL, 0};
}

/* "HTTP/1.1" or "HTTP/1.0"; absent where it was not read. */
static inline slice head_version(const struct head *h)
{
    if (h->minor < 0) return (slice){NULL, 0};
    return h->minor ? SLICE("HTTP/1.1") : SLICE("HTTP/1.0");
}
