#pragma once
/* What is sent: requests as bytes, or as text with placeholders that each sending fills anew:
 * {rand:MIN:MAX} a random whole number within the bounds, {seq:START} one that counts up. Numbers
 * of a sequence are given out once each over all cores. */

#include "base/slice.h"

#include <stdint.h>

enum { REQUEST_LINE = 100 };

enum part_kind { PART_TEXT, PART_RAND, PART_SEQ, PART_LENGTH /* of the body, in bytes */ };

struct part {
    enum part_kind kind;
    slice text;        /* PART_TEXT */
    uint64_t min, max; /* PART_RAND; min is also where PART_SEQ starts */
    uint32_t number;   /* of the sequence, among all of the run */
};

struct parts {
    struct part *part;
    uint32_t n;
};

struct request {
    struct parts head, body;
    slice bytes;     /* the whole of it, where it holds no placeholder; else NULL */
    uint32_t copies; /* of `bytes`, one behind the other, for sends of several */
    bool to_head;
};

/* What one core needs to fill placeholders. */
struct filler {
    uint64_t random;    /* state; not 0 */
    uint64_t *sequence; /* by number: how many it has given out */
    uint32_t core, cores;
};

/* How a request is put together from options. All strings outlive it. */
struct request_form {
    const char *method; /* NULL: GET, or POST where there is a body */
    slice target, host;
    const char *const *headers; /* "Name: value" lines */
    uint32_t n_headers;
    slice body;
    bool has_body, chunked;
};

/* Cuts text at its placeholders; `sequences` counts those found in all. False with a line in `why`
 * where one is malformed. */
bool parts_cut(slice text, struct parts *out, uint32_t *sequences, char *why, size_t size);

/* False with a line in `why`. Its memory is the program's until it ends. */
bool request_make(struct request *r, const struct request_form *form, uint32_t *sequences,
                  char *why, size_t size);

/* A request given as its bytes. */
bool request_raw(struct request *r, slice bytes, uint32_t *sequences, char *why, size_t size);

/* Its method and target as they were given, placeholders unfilled, escaped and cut to fit into a
 * line. */
void request_line(const struct request *r, char to[REQUEST_LINE]);

/* Bytes that request_fill writes at most. */
size_t request_room(const struct request *r);

/* Writes one request with its placeholders filled; returns its end. */
char *request_fill(const struct request *r, struct filler *f, char *to);
