#pragma once
/* The error sample: the first error of each kind, described in one line, because a count alone does
 * not say what went wrong. */

#include "io/sock.h"
#include "load/request.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ERROR_SAMPLE_TEXT = 320,
    EXCERPT = 24, /* bytes of a body that are shown where it differs */
};

struct error_sample {
    uint64_t at;                  /* ns of CLOCK_MONOTONIC; 0: no such error */
    char text[ERROR_SAMPLE_TEXT]; /* one line of printable ASCII */
};

/* Where a body differs from the expected one. */
struct body_difference {
    uint64_t at;  /* bytes before it */
    uint32_t len; /* of `got`; 0: only the length differs */
    char got[EXCERPT];
};

/* Finds the first byte of `piece`, which begins `from` bytes into a body, that differs from
 * `want`. */
void body_difference_find(struct body_difference *d, slice want, uint64_t from, slice piece);

/* Each describes one error in *s; a NULL `s` means that a sample of its kind was taken already.
 * `request` is the one that the error concerns, `server` is the server's address. */

/* `expected` is 0 where any 2xx is accepted. */
void error_sample_status(struct error_sample *s, const struct request *request, unsigned status,
                         unsigned expected);

/* `d` is NULL where the body only ends too early; `length` is that of the whole body. */
void error_sample_body(struct error_sample *s, const struct request *request,
                       const struct body_difference *d, slice want, uint64_t length);

/* `in` is what was received together, `at` the byte of it at which the parser stopped. */
void error_sample_framing(struct error_sample *s, const struct request *request,
                          const char *problem, slice in, size_t at);

/* `in` was received while no request was in flight. */
void error_sample_unsolicited(struct error_sample *s, const struct sock_addr *server, slice in);

/* `err` is a positive errno. */
void error_sample_connect(struct error_sample *s, const struct sock_addr *server, int err);

/* `err` is a positive errno, or 0 where the server closed the connection. */
void error_sample_reset(struct error_sample *s, const struct sock_addr *server,
                        const struct request *request, int err, bool reply_started);

/* `timeout` is in ns. */
void error_sample_timeout(struct error_sample *s, const struct sock_addr *server,
                          const struct request *request, uint64_t timeout, bool reply_started);
