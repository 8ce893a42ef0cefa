#pragma once
/* The engine contract: what a core asks of the kernel, stated once and performed by io_uring or by
 * epoll. Nothing above this file knows which; what only those see who implement it is in engine.h.
 *
 * 1. The caller owns every operation struct. From submit until its *final* completion the struct
 * and the bytes it points to belong to the engine.
 * 2. Submitting never calls back. Completions run from io_turn, on the core's main stack.
 * 3. Every operation has exactly one final completion, cancelled or not. Streams (accept, recv)
 * have any number of completions before it, marked `more`.
 * 4. Results are counts or descriptors (>= 0) or negative errno.
 * 5. A send finishes whole or fails. A socket carries at most one recv stream and one send at a
 * time.
 * 6. A socket is closed only when nothing is in flight on it.
 * 7. Bytes delivered to a recv stream are leased for the length of the callback; who needs them
 *    longer copies them.
 * 8. One thread uses an engine: the one that opened it. Only io_wake may be called by
 * others. */

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/list.h"
#include "base/wheel.h"
#include "io/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

struct io;
struct io_op;
struct sock_addr;
struct stat;

typedef void io_fn(struct io *io, struct io_op *op, int res, bool more);

/* What the engine does with the operation; set by the io_* call that submits it. */
enum io_kind {
    IO_NONE, /* not in flight */
    IO_ACCEPT,
    IO_RECV,
    IO_SEND,
    IO_CONNECT,
    IO_OPEN,
    IO_STATX,
    IO_READ,
    IO_CLOSE, /* a file */
    IO_CLOSE_SOCK,
    IO_SHUTDOWN, /* of a socket's sending side */
    IO_UNACKED,  /* bytes given to a socket that its peer has not acknowledged */
    IO_POLL,
    IO_POPULATE, /* memory that is a file's gets its pages (MADV_POPULATE_READ, 5.14) */
};

struct io_op {
    io_fn *fn;
    struct fifo_node done; /* engine: queue of completions, or of work */
    int32_t res;           /* engine: result while queued */
    uint8_t kind;          /* enum io_kind; IO_NONE when the caller owns it */
    uint8_t engine_bits;   /* engine: its own flags */
    bool cancelling;       /* a cancel was asked for; the final completion is on its way */
};

/* A connected stream socket. `fd` is a descriptor or, with direct descriptors, a slot of the ring's
 * table; only the engine and io_peer look at it. */
struct io_sock {
    int32_t fd; /* -1 when there is none */
    uint8_t engine_bits;
    struct io_op recv;
    struct io_send *sending; /* the send in flight, up to its completion */
    struct list queue;       /* engine: ready, or waiting for a buffer */
};

enum { IO_SEND_IOV = 8 };

/* One gathered send. The caller fills `iov` and `count`; the engine changes them as bytes leave.
 * The bytes are read by the kernel only: where they are a mapped file's and it has become shorter,
 * the send fails with -EFAULT. */
struct io_send {
    struct io_op op;
    struct io_sock *sock;
    uint32_t count;
    uint32_t at; /* engine: first entry with bytes left */
    struct iovec iov[IO_SEND_IOV];
    struct msghdr msg; /* engine */
};

/* A multishot accept on a listening socket. The result of each completion is the new socket, to be
 * given to io_sock_init. -EMFILE, -ENFILE and the like end the stream: start it again later. */
struct io_accept {
    struct io_op op;
    int listener;
    bool single; /* one connection is taken at a time, so that none comes after a cancel; else all
                  * that wait may be taken in one go. A change holds from the next start on. */
};

/* What has one completion and no stream: files, connect, poll, shutdown, close. */
struct io_call {
    struct io_op op;
    union {
        struct {
            int dirfd;
            const char *path;
            bool beneath;      /* nothing gets out of the directory: no "..", no absolute link */
            struct stat *stat; /* filled in */
        } open;                /* for reading; of whatever kind it is; result: fd */
        struct {
            int dirfd;
            const char *path;
            struct statx *out;
            int flags;
        } statx;
        struct {
            int fd;
            void *buf;
            uint32_t size;
            uint64_t offset;
        } read; /* result: count */
        struct {
            int fd;
        } close;
        struct {
            int fd;
            const struct sockaddr *addr;
            socklen_t len;
        } connect;
        struct {
            int fd;
            short events;
        } poll; /* result: revents */
        struct {
            void *addr;
            uint32_t size;
        } populate;
        struct {
            struct io_sock *sock;
        } sock; /* close, shutdown, unacked: a count */
    };
};

/* A function to run once in this turn, after its completions, on the main stack. */
struct io_task {
    struct fifo_node link;
    void (*fn)(struct io_task *t);
    bool queued;
};

/* One counter has one writer, its core; readers elsewhere see it relaxed. */
struct io_stats {
    uint64_t turns;
    uint64_t enters;     /* io_uring_enter, or epoll_wait */
    uint64_t syscalls;   /* all made by the engine, enters included */
    uint64_t sqes;       /* operations submitted; epoll: operations asked for */
    uint64_t cqes;       /* completions reaped; epoll: events and completions */
    uint64_t overflows;  /* turns that found completions the CQ had no room for; none is lost */
    uint64_t no_buffers; /* recv streams that ended for want of a buffer */
    uint64_t rearmed;    /* streams started again by the engine */
    uint64_t sq_full;    /* times the SQ was submitted early because it was full */
    uint64_t busy_ns;    /* time outside the kernel's wait */
};

/* Features of the io_uring engine; each can be switched off, and is where the kernel lacks it. */
enum io_feature {
    IO_SINGLE_ISSUER, /* 6.0 */
    IO_DEFER_TASKRUN, /* 6.1, needs single-issuer */
    IO_COOP_TASKRUN,  /* 5.19, where defer-taskrun is off */
    IO_NO_SQARRAY,    /* 6.6 */
    IO_SUBMIT_ALL,    /* 5.18 */
    IO_RING_FD,       /* registered ring descriptor, 5.18 */
    IO_BUF_RING,      /* provided-buffer ring, 5.19 */
    IO_MULTISHOT,     /* multishot accept (5.19) and recv (6.0); recv needs buf-ring */
    IO_DIRECT,        /* accept into direct descriptors, 5.19 */
    IO_IOWQ_CAP,      /* cap on kernel worker threads, 5.15 */
    IO_RESTRICT,      /* ring restrictions to the opcodes used, 5.10 */
    IO_FEATURES
};

extern const char *const io_feature_names[IO_FEATURES];

struct io_config {
    uint32_t depth;       /* SQ entries, a power of two after rounding up */
    uint32_t cq_depth;    /* CQ entries; 0: 8 x depth, at least 4096 */
    uint32_t buffers;     /* recv buffers of the core, rounded up to a power of two */
    uint32_t buffer_size; /* bytes of each */
    uint32_t max_sockets; /* size of the direct table */
    uint32_t iowq_bounded, iowq_unbounded; /* kernel worker threads at most */
    uint32_t features;                     /* bit per enum io_feature that is wanted */
    bool peers;  /* io_peer is to work, which rules direct descriptors out before Linux 6.19 */
    int wake_fd; /* an eventfd of the caller's for io_wake; 0: io_open makes one */
};

struct io_engine;

struct io {
    const struct io_engine *engine;
    uint64_t now; /* ns, read once a turn */
    struct wheel wheel;
    struct buf_pool bufs;
    const char *lease; /* what the running recv callback may read; its length is the result */
    struct fifo done;  /* completions that the engine came to without the kernel */
    struct fifo tasks;
    uint32_t in_flight; /* operations submitted and not finally completed */
    struct io_stats stats;
    struct io_config config;
    void (*on_wake)(struct io *io);     /* runs on the core after io_wake */
    void (*on_turn_end)(struct io *io); /* before the next wait */
    uint64_t turn_end;                  /* ns, for on_turn_end */
    uint64_t alarm; /* ns; on_alarm runs then, to the precision of the kernel's timers and
                     * not of the wheel's ticks. WHEEL_NEVER: not at all */
    void (*on_alarm)(struct io *io); /* once; it may set the next */
    void *user;                      /* the core's */
    int wake_fd;
    void *state; /* engine's own */
};

/* The engines built in, best first, ending with NULL. */
extern const struct io_engine *const io_engines[];

/* As in --engine. */
const char *io_engine_name(const struct io_engine *e);

/* NULL when no engine of that name is built in. */
const struct io_engine *io_engine_find(const char *name);

/* Whether it is the name of an engine, built in or not. */
bool io_engine_known(const char *name);

/* Whether it has a ring: depth, cq_depth and features of the configuration are of one. */
bool io_engine_has_ring(const struct io_engine *e);

/* The engine of that name or, with NULL, the best that this kernel allows; NULL where there is
 * none. Features that the kernel lacks are taken out of config->features. `say` gets a line for
 * whatever there is to say: what is refused and why, what serves instead, what is lacking. */
const struct io_engine *io_choose(const char *name, struct io_config *config,
                                  void (*say)(const char *line));

/* Only asks: 0, or negative errno where the kernel refuses the engine, and the reason in `why`.
 * Otherwise `why` names the features that it lacks, with commas ("" when none), and
 * config->features is without them. */
int io_probe(const struct io_engine *e, struct io_config *config, char *why, size_t size);

/* Connections at most that an engine so configured can hold under a limit of descriptors. */
uint64_t io_max_sockets(const struct io_config *config, uint64_t descriptors);

/* A listening socket as the engine wants it; see sock_listen. */
int io_listen(const struct io_engine *e, struct sock_addr *addr, int backlog);
/* On the thread that will use it. Negative errno when the engine cannot start. */
int io_open(struct io *io, const struct io_engine *engine, const struct io_config *config);

/* Asserts that nothing is in flight and every buffer is home. */
void io_close(struct io *io);

/* Submits everything, waits for a completion, a deadline or io_wake, and runs what is due: first
 * completions, then timers, then tasks. */
void io_turn(struct io *io);

/* Thread-safe and async-signal-safe. Wakes coalesce. */
void io_wake(struct io *io);

static inline void io_defer(struct io *io, struct io_task *t)
{
    if (t->queued) return;
    t->queued = true;
    fifo_push(&io->tasks, &t->link);
}

static inline bool io_busy(const struct io_op *op)
{
    return op->kind != IO_NONE;
}

/* Nothing is in flight, and nothing is left to run. */
bool io_idle(const struct io *io);

/* Starts the stream of accepted sockets. */
void io_accept_start(struct io *io, struct io_accept *a);

/* Takes over what an accept returned, or a socket of the caller's own that is connected or about to
 * be. 0, or negative errno: it is then still to be closed by IO_CLOSE_SOCK. */
int io_sock_init(struct io *io, struct io_sock *s, int fd, bool accepted, io_fn *on_recv);

/* The peer's address as malloc'ed text; NULL where it cannot be asked: of a direct descriptor,
 * which io_config.peers avoids. */
char *io_peer(struct io *io, const struct io_sock *s);

/* Closes what an accept returned and nobody took over. */
void io_discard(struct io *io, int fd);

/* Starts the recv stream. Each completion is bytes in io->lease (res > 0, more) or the final one:
 * 0 at the peer's end of stream, -ECANCELED after io_cancel, another error of the socket. */
void io_recv_start(struct io *io, struct io_sock *s);

/* Bytes of a send in flight that have been given to the kernel. */
static inline int32_t io_sent_so_far(const struct io_send *s)
{
    return s->op.res;
}

/* Sends every byte of s->iov[0..count), then completes with the total or an error. */
void io_send_start(struct io *io, struct io_send *s);

void io_call_start(struct io *io, struct io_call *c, enum io_kind kind);

/* Asks for the final completion of `op` soon: -ECANCELED, or what it came to first; a stream may
 * still deliver before it. No effect on an operation that is not in flight or already being
 * cancelled. */
void io_cancel(struct io *io, struct io_op *op);
