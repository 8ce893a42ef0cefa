#pragma once
/* An engine for tests: the contract of io.h in memory, without sockets, clock or threads. The test
 * plays every client: it pushes bytes in pieces of its choice and reads the output. A run depends
 * on these calls alone, so it can be repeated.
 *
 * It is stricter than a kernel. A piece is in memory of exactly its size, which is freed when the
 * callback returns, so that the address sanitizer detects a lease that is overrun or outlived;
 * closing a socket with an operation in flight fails an assertion. Files are opened and read by
 * plain system calls. Polls and connects fail with -EINVAL.
 *
 * Time advances only to deadlines: if nothing else is left to do, it moves to the next one, unless
 * that is further ahead than `patience`. */

#include "io/io.h"

struct mem_config {
    uint32_t share;    /* pieces that a socket delivers per turn; 0: all */
    size_t pace;       /* bytes that a socket sends per turn; 0: all, at once */
    bool late;         /* defer to the next turn what could be done at once */
    uint64_t patience; /* ns */
};

/* A client. The test frees it after both sides have closed. */
struct mem_client;

extern const struct io_engine mem_engine;

/* Call after io_open, or whenever nothing is in flight. By default every field is 0, except
 * patience, which is a second. */
void mem_configure(struct io *io, const struct mem_config *config);

/* Runs turns until nothing can happen before the client acts; false if that takes more than
 * `turns`. */
bool mem_run(struct io *io, unsigned turns);

/* Queues a connection; the accept stream takes it in the next turn. */
struct mem_client *mem_connect(struct io *io);

/* Pushes one piece, which is copied. It is delivered as one, unless it is larger than a receive
 * buffer. */
void mem_push(struct mem_client *m, const void *bytes, size_t n);

/* Pushes the same piece `times` times, without a copy: it must stay valid until all are delivered.
 * Output is discarded. For measurements: the engine neither copies nor allocates. */
void mem_repeat(struct mem_client *m, const void *bytes, size_t n, uint64_t times);

/* Ends the client's stream after the pieces pushed so far. */
void mem_push_end(struct mem_client *m);

/* Resets the connection: undelivered pieces are lost; the recv stream and sends fail. */
void mem_reset(struct mem_client *m);

/* Bytes that this socket sends per turn from now on, instead of `pace`; 0: none. */
void mem_set_window(struct mem_client *m, size_t bytes);

/* The output so far; valid until the next turn. */
const char *mem_out(const struct mem_client *m, size_t *n);

/* No more output follows: the sending side was shut down, or the socket closed. */
bool mem_ended(const struct mem_client *m);

/* Whether the server has closed the socket. */
bool mem_closed(const struct mem_client *m);

/* Number of bytes pushed but not delivered. */
size_t mem_waiting(const struct mem_client *m);

/* Frees a client; asserts that the server has closed its socket. */
void mem_free(struct io *io, struct mem_client *m);
