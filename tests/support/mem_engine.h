#pragma once
/* A third engine, for tests: the contract of io.h in memory, without sockets, clock or threads. The
 * test is every client: it pushes bytes in pieces of its choice and reads what comes out. What
 * happens depends on these calls alone, so a run can be repeated.
 *
 * It is stricter than a kernel: a piece lies in memory of exactly its size, which is freed when the
 * callback returns, so that the address sanitizer sees a lease outlived or overrun; a socket closed
 * with something in flight is an assertion. Files are opened and read by plain system calls. Polls
 * and connects are not implemented and fail with -EINVAL.
 *
 * Time stands still but for deadlines: where nothing else is left to do, it moves on to the next
 * one, unless that is further ahead than `patience`. */

#include "io/io.h"

struct mem_config {
    uint32_t share;    /* pieces that a socket delivers in one turn; 0: all */
    size_t pace;       /* bytes that leave a socket in one turn; 0: all of a send, and at once */
    bool late;         /* what can be done at once is done in the next turn all the same */
    uint64_t patience; /* ns */
};

/* A client. Its memory is the test's, to be freed after both sides have closed. */
struct mem_client;

extern const struct io_engine mem_engine;

/* After io_open, and whenever nothing is in flight. Without it every field is 0 but patience, which
 * is a second. */
void mem_configure(struct io *io, const struct mem_config *config);

/* Turns until nothing is left to be done before the client does something; false when that has not
 * come about after `turns`. */
bool mem_run(struct io *io, unsigned turns);

/* A connection for the accept stream, which takes it in the next turn. */
struct mem_client *mem_connect(struct io *io);

/* One piece, copied: it is delivered as it is, unless it is larger than a receive buffer. */
void mem_push(struct mem_client *m, const void *bytes, size_t n);

/* The same piece so many times, where it lies, until all are delivered; and what comes out is
 * dropped. For measuring: the engine neither copies nor allocates then. */
void mem_repeat(struct mem_client *m, const void *bytes, size_t n, uint64_t times);

/* The client sends no more: the end of the stream, behind the pieces. */
void mem_push_end(struct mem_client *m);

/* The client is gone: pieces not yet delivered are lost, the recv stream and sends fail. */
void mem_reset(struct mem_client *m);

/* Bytes that leave this socket in one turn from now on, in place of `pace`; 0: none. */
void mem_set_window(struct mem_client *m, size_t bytes);

/* What came out so far; valid until the next turn. */
const char *mem_out(const struct mem_client *m, size_t *n);

/* Nothing will come out any more: the sending side was shut, or the socket closed. */
bool mem_ended(const struct mem_client *m);

/* The server has closed the socket. */
bool mem_closed(const struct mem_client *m);

/* Bytes pushed and not delivered yet. */
size_t mem_waiting(const struct mem_client *m);

/* Asserts that the server has closed. */
void mem_free(struct io *io, struct mem_client *m);
