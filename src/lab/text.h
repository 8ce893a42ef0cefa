#pragma once
/* Text that grows in the memory of a request. */

#include "torc.h"

struct text {
    torc_req *rq;
    char *ptr;
    size_t len, room;
    bool failed; /* without memory; then what is put is dropped */
};

void text_put(struct text *t, torc_slice s);
void text_put_number(struct text *t, int64_t n);

/* With what has a meaning in HTML escaped, in elements and in quoted attributes. */
void text_put_html(struct text *t, torc_slice s);

/* A JSON string (RFC 8259, 7) in quotes; `s` must be UTF-8. */
void text_put_json(struct text *t, torc_slice s);

/* Replies with 200 and the text, or with 503 if it has failed. */
void text_reply(const struct text *t, const char *type);
