#pragma once
/* Incremental parser of one HTTP/1.x request: first the head, then the bytes of the body, from
 * input split in any way. A complete head of the common form is parsed in one pass (h1_fast.h), any
 * other by llhttp (message.h). The head is copied into memory of the request; body bytes are not
 * copied unless asked for. */

#include "base/arena.h"
#include "http/head.h"
#include "http/message.h"

enum { TARGET_MAX = 8 * 1024 }; /* bytes of the request-target; more is answered with 414 */

enum parse_state {
    PARSE_HEAD, /* the head is not complete */
    PARSE_BODY, /* the head is complete and a body follows */
    PARSE_DONE, /* the message is complete */
    PARSE_ERROR,
};

struct h1_parser {
    struct message message; /* valid if llhttp_used */
    struct head *head;
    struct arena *arena;
    struct head_limits limits;   /* since its first byte */
    uint32_t text_cap, text_len; /* capacity and length of head->text */
    uint32_t head_bytes;         /* bytes of the head as received */
    uint32_t empty_bytes;        /* of these, empty lines before the request line */
    uint64_t data_bytes;         /* body bytes so far */
    uint64_t overhead_bytes;     /* bytes of chunk sizes, extensions and trailers so far */
    uint8_t state;               /* enum parse_state */
    bool in_value;               /* the last piece belonged to a field value */
    bool cr_after_target;        /* the input ended with a CR right after the target */
    bool llhttp_used;            /* llhttp has seen bytes of this request */
    uint8_t tail_len;
    char tail[8];      /* last bytes of earlier input, while in the head */
    int status;        /* PARSE_ERROR: the status to respond with */
    const char *input; /* input of the current call */
    size_t input_len;
    char *sink; /* destination of body bytes in the current h1_parse_body; NULL discards */
    size_t sink_len;
};

/* Initialises the parser and `head`. `text` is the first memory for head->text; larger text and
 * more fields than head->own_field are allocated from `arena`. */
void h1_parser_init(struct h1_parser *p, struct head *head, struct arena *arena, char *text,
                    uint32_t size);

/* Parses a whole head of the common form that `in` begins with, and returns its length; 0 if it has
 * another form, is not whole, or was begun by h1_parse_head. The caller checks the number of
 * fields. `in` is not empty. */
size_t h1_parse_fast(struct h1_parser *p, slice in);

/* Parses bytes of any head; returns how many of `in` were used and updates p->state. A head keeps
 * the limits that are given with its first byte. Stops after
 * the head (PARSE_BODY, PARSE_DONE). After an error, `head` contains what was parsed before it.
 * `in` is not empty. */
size_t h1_parse_head(struct h1_parser *p, const struct head_limits *limits, slice in);

/* Whether only empty lines before the request line have come so far (RFC 9112, 2.2). */
static inline bool h1_parser_is_blank(const struct h1_parser *p)
{
    return p->state == PARSE_HEAD && p->head_bytes == p->empty_bytes;
}

/* Parses bytes of the body in PARSE_BODY: returns how many of `in` were used and copies at most
 * `size` bytes of data to `out`, their count to *got. `out` NULL discards the data. A body with a
 * length may be where `in` is, already. */
size_t h1_parse_body(struct h1_parser *p, slice in, char *out, size_t size, size_t *got);
