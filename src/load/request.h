#pragma once
/* A request: bytes, or text with placeholders that are filled each time it is sent. {rand:MIN:MAX}
 * becomes a random whole number within the bounds, {seq:START} the next number of a sequence. No
 * two cores send the same number of a sequence. */

#include "base/slice.h"

#include <stdint.h>

enum { REQUEST_LINE = 100 };

enum part_kind { PART_TEXT, PART_RAND, PART_SEQ, PART_LENGTH /* of the body, in bytes */ };

struct part {
    enum part_kind kind;
    slice text;        /* PART_TEXT */
    uint64_t min, max; /* PART_RAND; min is also the start of PART_SEQ */
    uint32_t number;   /* of the sequence, among those of the run */
};

struct parts {
    struct part *part;
    uint32_t n;
};

struct request {
    struct parts head, body;
    slice bytes;     /* the whole request, where it has no placeholder; else NULL */
    uint32_t copies; /* of `bytes`, one after the other, to send several at once */
    bool to_head;
};

/* The state of one core for filling placeholders. */
struct filler {
    uint64_t random;    /* state; not 0 */
    uint64_t *sequence; /* by number: how many numbers were taken */
    uint32_t core, cores;
};

/* The options that make up a request. All strings outlive it. */
struct request_form {
    const char *method; /* NULL: GET, or POST where there is a body */
    slice target, host;
    const char *const *headers; /* "Name: value" lines */
    uint32_t n_headers;
    slice body;
    bool has_body, chunked;
};

/* Splits text at its placeholders; adds the number of its sequences to `sequences`. False with a
 * line in `why` where a placeholder is malformed. */
bool parts_cut(slice text, struct parts *out, uint32_t *sequences, char *why, size_t size);

/* False with a line in `why`. What it allocates is never freed. */
bool request_make(struct request *r, const struct request_form *form, uint32_t *sequences,
                  char *why, size_t size);

/* The same for a request that is given as its bytes. */
bool request_raw(struct request *r, slice bytes, uint32_t *sequences, char *why, size_t size);

/* Its method and target for a message: with placeholders unfilled, escaped, and cut to fit. */
void request_line(const struct request *r, char to[REQUEST_LINE]);

/* The most bytes that request_fill writes. */
size_t request_room(const struct request *r);

/* Writes one request with its placeholders filled; returns its end. */
char *request_fill(const struct request *r, struct filler *f, char *to);
