#pragma once
/* What the cores and the writer thread of the access log share: a ring buffer for each core. */

#include "serve/access_line.h"
#include "serve/options.h"

#include <stdatomic.h>

/* A ring buffer with one producer, the core, and one consumer, the writer thread. `head` and `tail`
 * count bytes since the start; the offset in `bytes` is modulo ACCESS_BUFFER_SIZE. */
struct access_log_buffer {
    /* Written by the core. */
    _Alignas(64) _Atomic size_t tail; /* after the last complete line */
    uint64_t dropped;                 /* lines that did not fit */
    enum log_format format;
    char *bytes;
    uint64_t time_until; /* time of clock_ns until which `time` is current */
    uint32_t time_len;
    int wake_fd;
    char time[ACCESS_TIME_MAX];

    /* Written by the writer thread. */
    _Alignas(64) _Atomic size_t head; /* the first byte that is not yet in the file */
    uint64_t lost;                    /* lines that could not be written to the file */
    _Atomic bool woken; /* set by the core when it wakes the thread, which then clears it */
};

/* Adds a line for a request that ends at `now`; on the buffer's core. `peer` is the client's
 * address. */
void access_buffer_add(struct access_log_buffer *b, const struct torc_req *rq, const char *peer,
                       uint64_t bytes_sent, enum http_end end, uint64_t now);

/* The number of lines of this buffer that were dropped so far. Any thread. */
uint64_t access_buffer_dropped(const struct access_log_buffer *b);

/* Wakes the writer thread. Where it is refused, it comes a little later by itself.
 * Async-signal-safe. */
void access_wake(int fd);
