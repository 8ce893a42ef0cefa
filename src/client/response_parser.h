#pragma once
/* Parsing of one HTTP/1.x response as its client receives it (RFC 9112). Interim
 * responses (1xx) are passed over. */

#include "http/message.h"

enum response_state {
    RESPONSE_HEAD,
    RESPONSE_BODY,
    RESPONSE_DONE,  /* whole; what follows belongs to the next one */
    RESPONSE_ERROR, /* malformed */
};

struct response_parser {
    struct message message;
    /* Pieces of the body, as they come; NULL when nobody wants them. */
    void (*on_body)(struct response_parser *r, slice piece);
    uint64_t body_bytes;
    uint16_t status;
    uint8_t state;       /* enum response_state */
    bool keep_alive;     /* holds when DONE: the connection may carry another */
    bool to_head;        /* answers a HEAD request: has no body, whatever its fields say */
    bool until_close;    /* only the end of the stream ends its body */
    const char *problem; /* what is wrong, in words, in state ERROR; static */
};

/* Begins with the next response; on_body stays. */
void response_parser_begin(struct response_parser *r, bool to_head);

/* Bytes used of `in`: all of them, or those up to the end of the response or to the error. */
size_t response_parser_parse(struct response_parser *r, slice in);

/* The stream has ended: the state becomes DONE where that ends the body, else ERROR. */
void response_parser_end(struct response_parser *r);
