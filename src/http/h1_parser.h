#pragma once
/* One HTTP/1.x request, parsed as its bytes come in any split, by llhttp without any lenient flag,
 * but for heads that are plain and whole (plain.h). The head is copied into the parser's own
 * memory; body bytes are handed out where they lie. */

#include "base/arena.h"
#include "base/slice.h"

enum {
    HEAD_MAX = 16 * 1024,  /* bytes of request line and fields: 431 past it */
    TARGET_MAX = 8 * 1024, /* bytes of the request-target: 414 past it */
    FIELDS_MAX = 100,      /* 431 past it */
};

/* A field line, as places in parser.text. */
struct field {
    uint16_t name, name_len, value, value_len;
};

enum parse_state {
    PARSE_HEAD, /* the head is not complete */
    PARSE_BODY, /* the head is complete and a body follows */
    PARSE_DONE, /* the message is complete */
    PARSE_ERROR,
};

struct parser {
    _Alignas(8) unsigned char llhttp[128]; /* an llhttp_t, which only parser.c knows; once begun */
    struct arena *arena;
    char *text; /* target, names and values, one after the other */
    uint32_t text_len, text_cap;
    uint32_t head_bytes;  /* of the head, as they came */
    uint32_t empty_bytes; /* of these, in empty lines before the request line */
    uint16_t target_len;  /* the target begins at text[0] */
    uint16_t n_fields;
    uint8_t state;   /* enum parse_state */
    bool in_value;   /* the last span was of a value */
    bool cut;        /* the target was followed by a CR */
    bool begun;      /* llhttp has had bytes of the request */
    bool has_method; /* PARSE_ERROR: the method was read before it came to that */
    int status;      /* PARSE_ERROR: the status that answers it */
    /* Once the head is complete: */
    bool keep_alive; /* whether the client lets the connection live on */
    bool chunked;
    uint8_t minor;           /* of HTTP/1.x; 0 before */
    uint64_t content_length; /* 0 when chunked or without a body */
    uint8_t tail_len;
    char tail[8];      /* the last bytes of earlier input, while in the head */
    const char *input; /* of the running parser_feed */
    size_t input_len;
    uint64_t data_bytes;     /* of the body, so far */
    uint64_t overhead_bytes; /* chunk sizes, extensions and trailers, so far */
    char *sink;              /* where body bytes go in the running parser_body */
    size_t sink_len;
    struct field field[FIELDS_MAX];
};

/* What the head grows into comes from `arena`; `text` is memory to begin with. */
void parser_init(struct parser *p, struct arena *arena, char *text, uint32_t size);

/* Takes bytes of the head: how many of `in` were used, and p->state says what they led to. Stops
 * behind the head (PARSE_BODY, PARSE_DONE) and leaves the rest. */
size_t parser_head(struct parser *p, slice in);

/* Takes bytes of the body in PARSE_BODY: returns how many of `in` were used and copies at most
 * `size` bytes of data to `out`, their count to *got. `out` NULL discards the data. */
size_t parser_body(struct parser *p, slice in, char *out, size_t size, size_t *got);

static inline slice parser_target(const struct parser *p)
{
    return slice_of(p->text, p->target_len);
}

static inline slice field_name(const struct parser *p, size_t i)
{
    return slice_of(p->text + p->field[i].name, p->field[i].name_len);
}

/* Without the white space behind it; llhttp leaves out what is before. */
static inline slice field_value(const struct parser *p, size_t i)
{
    slice v = slice_of(p->text + p->field[i].value, p->field[i].value_len);
    while (v.len && (v.ptr[v.len - 1] == ' ' || v.ptr[v.len - 1] == '\t')) v.len--;
    return v;
}

/* As sent; "GET" and so on. Absent where nothing of it has come. Static memory. */
slice parser_method(const struct parser *p);

/* "HTTP/1.1" or "HTTP/1.0"; absent where the head did not get that far. */
slice parser_version(const struct parser *p);
