#pragma once
/* What every engine test needs: an engine in the configuration that the command line chose, peers
 * that are connections of tcp.h, and turns that are bounded. A wall-clock guard ends a test that
 * stalls; nothing asserts speed. */

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
 * with 2 on other words and with 77, which skips, where the kernel refuses the engine. */
void rig_choose(int argc, char **argv);

static inline bool rig_is(const char *engine)
{
    return rig_engine == io_engine_find(engine);
}

/* How often and with what an operation has ended. */
struct outcome {
    unsigned ends;
    int res;
};

enum { RIG_ACCEPTED = 128 };

struct rig {
    struct io io;
    int listener;
    struct sock_addr addr;
    struct io_accept accept;
    struct outcome accept_end;
    int accepted[RIG_ACCEPTED];
    unsigned n_accepted, taken;
    void (*on_accept)(struct rig *r);
    struct io_task nop;
    struct wheel_timer guard;
    bool stalled;
    unsigned turns_left;
    unsigned wakes;
    unsigned fds; /* open before the rig was */
};

struct rig *rig_open(const struct io_config *config);

/* Cancels the accept stream, waits until nothing is in flight and checks that all came home. */
void rig_close(struct rig *r);

void rig_listen(struct sock_addr *addr, int *listener);
void rig_guard(struct rig *r);
void rig_unguard(struct rig *r);
void rig_turn(struct rig *r, const char *what, const char *file, int line);

/* A turn that does not wait. */
void rig_poll(struct rig *r);

#define TURN_UNTIL(r, cond)                                                                        \
    do {                                                                                           \
        rig_guard(r);                                                                              \
        while (!(cond)) rig_turn(r, #cond, __FILE__, __LINE__);                                    \
        rig_unguard(r);                                                                            \
    } while (0)

/* One connection: the engine's side and the peer's. */
struct end {
    struct io_sock sock;
    struct io_send send;
    struct io_call call;
    struct rig *rig;
    int peer;          /* -1 when closed */
    uint64_t received; /* bytes, each of which was what pattern() says */
    unsigned reads;
    void (*on_data)(struct end *e, int n);
    void (*on_end)(struct end *e);
    struct outcome recv_end, send_end, call_end;
};

/* A new connection that the engine accepts, or the next that it did accept. */
void end_open(struct rig *r, struct end *e);
void end_take(struct rig *r, struct end *e, int peer);

/* A socket of the caller's own, whose peer is not ours to close. */
void end_adopt(struct rig *r, struct end *e, int fd);

/* A connection whose socket was made outside the engine. */
void end_own(struct rig *r, struct end *e, bool nonblocking);

void end_recv(struct end *e);
void end_send(struct end *e, const struct iovec *iov, uint32_t count);
int end_call(struct end *e, enum io_kind kind);

/* Cancels what is in flight, closes both sides. */
void end_close(struct end *e);

/* Submits and turns until it has ended, once. */
int rig_call(struct rig *r, struct io_call *c, enum io_kind kind);

/* The byte at an offset of every stream in these tests. */
static inline uint8_t pattern(uint64_t at)
{
    return (uint8_t)((at * 2654435761u) >> 24 ^ at >> 13);
}

void pattern_fill(void *buf, uint64_t at, size_t n);

void peer_send(int fd, uint64_t at, size_t n);

/* Waits until all that was sent has arrived. */
void peer_settle(int fd);

/* Reads exactly n bytes and checks them. */
void peer_expect(int fd, uint64_t at, size_t n);

/* Peers that must run beside the engine: sends or expects n bytes of the pattern from 0. */
struct peer_thread {
    pthread_t thread;
    int fd;
    size_t n;
    bool sends, slow, ok;
};

void peer_start(struct peer_thread *t);
void peer_join(struct peer_thread *t);
