#pragma once
/* Shared by the engine tests: an engine in the configuration given on the command line, peers on
 * plain blocking sockets, and a bounded number of turns. A timer fails a test that hangs; no test
 * asserts speed. */

#include "io/io.h"
#include "io/sock.h"
#include "tcp.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct io_engine *rig_engine;
extern struct io_config rig_config;

/* argv: an engine, then any of bare, no-FEATURE, depth=N, cq=N, buffers=N, buffer-size=N. Exits
 * with 2 on other words, and with 77 (skipped) if the kernel refuses the engine. */
void rig_choose(int argc, char **argv);

static inline bool rig_is(const char *engine)
{
    return rig_engine == io_engine_find(engine);
}

/* How many final completions an operation had, and the last result. */
struct outcome {
    unsigned count;
    int res;
};

enum { RIG_ACCEPTED = 128 };

struct rig {
    struct io io;
    int listener;
    struct sock_addr addr;
    struct io_accept accept;
    struct outcome accept_result;
    int accepted[RIG_ACCEPTED];
    unsigned n_accepted, taken;
    void (*on_accept)(struct rig *r);
    struct io_task nop;
    struct wheel_timer guard;
    bool stalled;
    unsigned turns_left;
    unsigned wakes;
    unsigned fds; /* number of descriptors before rig_open */
};

struct rig *rig_open(const struct io_config *config);

/* Cancels the accept stream, waits until nothing is in flight and checks that no buffer or
 * descriptor leaked. */
void rig_close(struct rig *r);

void rig_listen(struct sock_addr *addr, int *listener);
void rig_guard(struct rig *r);
void rig_unguard(struct rig *r);
void rig_turn(struct rig *r, const char *what, const char *file, int line);

/* One turn that does not wait. */
void rig_poll(struct rig *r);

#define TURN_UNTIL(r, cond)                                                                        \
    do {                                                                                           \
        rig_guard(r);                                                                              \
        while (!(cond)) rig_turn(r, #cond, __FILE__, __LINE__);                                    \
        rig_unguard(r);                                                                            \
    } while (0)

/* One connection: the socket on the engine's side and the descriptor of its peer. */
struct endpoint {
    struct io_sock sock;
    struct io_send send;
    struct io_call call;
    struct rig *rig;
    int peer;          /* -1 when closed */
    uint64_t received; /* bytes received, each checked against pattern() */
    unsigned reads;
    char *into; /* of the receive in flight */
    uint32_t into_size;
    void (*on_data)(struct endpoint *e, int n);
    void (*on_end)(struct endpoint *e);
    struct outcome recv_result, send_result, call_result;
};

/* Opens a connection that the engine accepts; or waits for the accept of one that exists. */
void endpoint_open(struct rig *r, struct endpoint *e);
void endpoint_accept(struct rig *r, struct endpoint *e, int peer);

/* Uses a connected socket of the caller; its peer is not closed by endpoint_close. */
void endpoint_adopt(struct rig *r, struct endpoint *e, int fd);

/* Opens a connection without the engine and passes its socket to it. */
void endpoint_open_external(struct rig *r, struct endpoint *e, bool nonblocking);

void endpoint_recv(struct endpoint *e);

/* Receives once into memory of its own; what comes counts as `received`. */
void endpoint_recv_into(struct endpoint *e, uint32_t size);

void endpoint_send(struct endpoint *e, const struct iovec *iov, uint32_t count);

/* Runs until the send has ended, which goes on by two shares of a turn at most. */
void endpoint_await_shares(struct rig *r, struct endpoint *e);

/* Runs until `n` sends have ended, each begun by the completion of the one before. Who sends the
 * next as soon as one has been sent gets no more of a turn than others: what was sent before it,
 * and one. A turn of the engine threads is of one connection. */
void endpoint_await_chain(struct rig *r, struct endpoint *e, unsigned n);

int endpoint_call(struct endpoint *e, enum io_kind kind);

/* Cancels operations in flight and closes both sides. */
void endpoint_close(struct endpoint *e);

/* Submits the call, runs turns until it has completed exactly once, and returns the result. */
int rig_call(struct rig *r, struct io_call *c, enum io_kind kind);

/* The byte at offset `at` of every stream in these tests. */
static inline uint8_t pattern(uint64_t at)
{
    return (uint8_t)((at * 2654435761u) >> 24 ^ at >> 13);
}

void pattern_fill(void *buf, uint64_t at, size_t n);

void peer_send(int fd, uint64_t at, size_t n);

/* Waits until everything sent has been acknowledged. */
void peer_settle(int fd);

/* Reads exactly n bytes and checks them. */
void peer_expect(int fd, uint64_t at, size_t n);

/* A peer on a thread of its own: sends or expects the first n bytes of the pattern. */
struct peer_thread {
    pthread_t thread;
    int fd;
    size_t n;
    bool sends, slow, ok;
};

void peer_start(struct peer_thread *t);
void peer_join(struct peer_thread *t);
