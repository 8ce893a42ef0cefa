#pragma once
/* One HTTP/1.x request, parsed as its bytes come in any split: into a head, then its body's bytes.
 * A head that is whole and of the common kind is read in one pass (h1_fast.h), any other by llhttp
 * (message.h). The head is copied into memory of the request; body bytes are handed out where they
 * lie. */

#include "base/arena.h"
#include "http/head.h"
#include "http/message.h"

enum {
    HEAD_MAX = 16 * 1024,  /* bytes of request line and fields: 431 past it */
    TARGET_MAX = 8 * 1024, /* bytes of the request-target: 414 past it */
};

enum parse_state {
    PARSE_HEAD, /* the head is not complete */
    PARSE_BODY, /* the head is complete and a body follows */
    PARSE_DONE, /* the message is complete */
    PARSE_ERROR,
};

struct h1_parser {
    struct message message; /* once begun */
    struct head *head;
    struct arena *arena;
    uint32_t text_cap, text_len; /* of head->text */
    uint32_t head_bytes;         /* of the head, as they came */
    uint32_t empty_bytes;        /* of these, in empty lines before the request line */
    uint64_t data_bytes;         /* of the body, so far */
    uint64_t overhead_bytes;     /* chunk sizes, extensions and trailers, so far */
    uint8_t state;               /* enum parse_state */
    bool in_value;               /* the last span was of a value */
    bool cut;                    /* the target was followed by a CR */
    bool begun;                  /* llhttp has had bytes of the request */
    uint8_t tail_len;
    char tail[8];      /* the last bytes of earlier input, while in the head */
    int status;        /* PARSE_ERROR: the status that answers it */
    const char *input; /* of the running call */
    size_t input_len;
    char *sink; /* where body bytes go in the running h1_parse_body */
    size_t sink_len;
};

/* Fills in `head`. What its text grows into comes from `arena`; `text` is memory to begin with. */
void h1_parser_init(struct h1_parser *p, struct head *head, struct arena *arena, char *text,
                    uint32_t size);

/* Takes bytes of the head: how many of `in` were used, and p->state says what they led to. Stops
 * after the head (PARSE_BODY, PARSE_DONE) and leaves the rest. After an error the head has what was
 * read of it before. */
size_t h1_parse_head(struct h1_parser *p, slice in);

/* Takes bytes of the body in PARSE_BODY: returns how many of `in` were used and copies at most
 * `size` bytes of data to `out`, their count to *got. `out` NULL discards the data. */
size_t h1_parse_body(struct h1_parser *p, slice in, char *out, size_t size, size_t *got);
