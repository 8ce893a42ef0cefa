#pragma once
/* The first error of each kind in words, for who has only their number to go by. Nothing here runs
 * for a second one, nor for replies that are right. */

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    FIRST_TEXT = 320,
    EXCERPT = 24, /* bytes of a body that are shown where it differs */
};

struct first_error {
    uint64_t at;           /* ns of CLOCK_MONOTONIC; 0: there was none */
    char text[FIRST_TEXT]; /* one line of printable ASCII */
};

/* Where a body is not the one that is expected. */
struct difference {
    uint64_t at;  /* bytes before it */
    uint32_t len; /* of `came`; 0: the body differs in its length alone */
    char came[EXCERPT];
};

/* Writes `bytes` as printable ASCII, with C's escapes, and a NUL; "..." where not all of it fits
 * into `size`, which is more than 8. */
void escape(slice bytes, char *to, size_t size);

/* Finds in `piece`, which begins `from` bytes into a body, where that is no longer `want`. */
void difference_find(struct difference *d, slice want, uint64_t from, slice piece);

/* Each sets *f. `request` is the line that request_line writes, `server` its address. */

/* `expected` is 0 where every 2xx would have been right. */
void first_status(struct first_error *f, const char *request, unsigned status, unsigned expected);

/* `d` is NULL where too little came; `came` is the whole body's length in bytes. */
void first_body(struct first_error *f, const char *request, const struct difference *d, slice want,
                uint64_t came);

/* `in` is what was received together, `at` the byte of it that `problem` was found at. */
void first_framing(struct first_error *f, const char *request, const char *problem, slice in,
                   size_t at);
void first_unasked(struct first_error *f, const char *server, slice in);

/* `err` is a positive errno. */
void first_connect(struct first_error *f, const char *server, int err);

/* `err` is 0 where the connection was closed, and not reset. */
void first_reset(struct first_error *f, const char *server, const char *request, int err,
                 bool in_reply);

/* `timeout` is in ns. */
void first_timeout(struct first_error *f, const char *server, const char *request, uint64_t timeout,
                   bool in_reply);
