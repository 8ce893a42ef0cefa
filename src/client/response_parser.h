#pragma once
/* Parses one HTTP/1.x response (RFC 9112). Interim responses (1xx) are skipped. */

#include "http/message.h"

enum response_state {
    RESPONSE_HEAD,
    RESPONSE_BODY,
    RESPONSE_DONE,  /* complete; bytes after it belong to the next one */
    RESPONSE_ERROR, /* malformed */
};

struct response_parser {
    struct message message;
    /* Gets the body in pieces; may be NULL. */
    void (*on_body)(struct response_parser *r, slice piece);
    /* Get the head's fields in pieces; both NULL: nobody wants them. Those of interim responses
     * come before on_interim. */
    void (*on_field_name)(struct response_parser *r, slice piece);
    void (*on_field_value)(struct response_parser *r, slice piece);
    void (*on_interim)(struct response_parser *r);
    /* The head is complete, that of the final response: whether to take it. NULL takes all. */
    bool (*accepts_head)(struct response_parser *r);
    uint64_t body_bytes;
    uint64_t overhead_bytes; /* of chunk sizes, extensions and trailers so far */
    const char *counted;     /* in the current input: up to there all is data or in overhead_bytes;
                                NULL unless in a body */
    uint16_t status;
    uint8_t state;       /* enum response_state */
    bool keep_alive;     /* when DONE: the connection may carry another */
    bool to_head;        /* to a HEAD request: has no body, even if its fields say so */
    bool is_excessive;   /* ERROR: because of chunk extensions or trailers */
    bool until_close;    /* only the end of the stream ends its body */
    const char *problem; /* in state ERROR: what is wrong; static */
};

/* Prepares for the next response; the callbacks stay. */
void response_parser_begin(struct response_parser *r, bool to_head);

/* Bytes used of `in`: all of them, or those up to the end of the response or to the error. */
size_t response_parser_parse(struct response_parser *r, slice in);

/* The stream has ended. The state becomes DONE where that ends the body, else ERROR. */
void response_parser_end(struct response_parser *r);
