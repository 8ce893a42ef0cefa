#pragma once
/* The engine contract: what a core asks of the kernel. io_uring, epoll and threads implement it
 * (engine.h); nothing above this directory knows which one runs.
 *
 *   1.  The caller owns every operation struct. From submit until its *final* completion, the
 *       struct and the bytes it points to belong to the engine.
 *   2.  Submitting never calls back. Completions run from io_turn, on the core's main stack.
 *   3.  Every operation has exactly one final completion, cancelled or not. Streams (accept, recv)
 *       have any number of completions before it, marked `more`.
 *   4.  Results are counts or descriptors (>= 0) or negative errno.
 *   5.  A send completes whole or fails. A socket carries at most one send at a time, and one of
 *       recv stream, receive into memory of the caller, and watch.
 *   6.  A socket is closed only when nothing is in flight on it.
 *   7.  Bytes delivered to a recv stream are leased for the length of the callback; copy what must
 *       live longer.
 *   8.  An engine belongs to the thread that opened it. Only io_wake and io_post may be called from
 *       other threads. */

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/list.h"
#include "base/stopwatch.h"
#include "base/wheel.h"
#include "io/buf.h"
#include "io/config.h"
#include "io/stats.h"

#include <stdatomic.h>
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

/* Kind of an operation; set by the io_* call that submits it. */
enum io_kind {
    IO_NONE, /* not in flight */
    IO_ACCEPT,
    IO_RECV,
    IO_RECV_INTO, /* memory of the caller, once, instead of the recv stream */
    IO_WATCH,     /* of a connected socket, instead of its recv stream */
    IO_SEND,
    IO_CONNECT,
    IO_OPEN,
    IO_CREATE, /* open for writing, too */
    IO_STATX,
    IO_READ,
    IO_WRITE,
    IO_SYNC, /* a file's bytes to the storage (fsync(2)) */
    IO_LINK,
    IO_RENAME,
    IO_UNLINK,
    IO_CLOSE, /* a file, whose bytes may have to be freed */
    IO_CLOSE_SOCK,
    IO_SHUTDOWN, /* of a socket's sending side (SHUT_WR) */
    IO_UNACKED,  /* unacknowledged bytes in a socket's send buffer (SIOCOUTQ) */
    IO_POLL,
    IO_POPULATE, /* fault in the pages of a mapped file (MADV_POPULATE_READ, 5.14) */
};

struct io_op {
    io_fn *fn;
    union {
        struct fifo_node done; /* engine: link in a queue */
        char *into; /* engine: memory of IO_RECV_INTO, until it is queued; `res`: its size */
    };
    int32_t res;         /* engine: result while queued */
    uint8_t kind;        /* enum io_kind; IO_NONE when the caller owns it */
    uint8_t engine_bits; /* engine: its own flags */
    bool cancelling;     /* cancel requested; the final completion follows */
};

/* A connected stream socket. Its `recv` is the recv stream or what runs instead. `fd` is a
 * descriptor or, with direct descriptors, an index into the ring's table; only the engine and
 * io_peer use it. */
struct io_sock {
    int32_t fd; /* -1 for none */
    uint8_t engine_bits;
    uint16_t sent_in; /* engine: low bits of the turn in which it was last sent to */
    struct io_op recv;
    struct io_send *sending; /* the send in flight, until its completion */
    union {
        struct list queue; /* engine: link in a list of ready or waiting sockets */
        char *into;        /* engine: memory of IO_RECV_INTO, where `recv` may be in a queue */
    };
};

enum { IO_SEND_IOV = 8 };

/* A gathered send. The caller fills `iov` and `count`; the engine modifies them as bytes leave.
 * Only the kernel reads the bytes: if they are a mapping of a file that was truncated, the send
 * fails with -EFAULT and raises no signal. */
struct io_send {
    struct io_op op;
    struct io_sock *sock;
    uint32_t count;
    uint32_t at; /* engine: first entry with bytes left */
    struct iovec iov[IO_SEND_IOV];
    union {
        struct msghdr msg; /* engine, of a send from memory */
        struct {
            int fd;
            uint32_t at;     /* its entry */
            uint64_t offset; /* engine: moves as bytes leave */
        } file;              /* of io_send_file_start */
    };
};

/* Accept stream of a listening socket. The result of each completion is a new socket for
 * io_sock_init or io_discard. -EMFILE, -ENFILE and the like end the stream; start it again
 * later. */
struct io_accept {
    struct io_op op;
    int listener;
    bool single; /* accept one connection at a time, so that none arrives after a cancel; otherwise
                    a batch may be accepted at once. Takes effect at the next start. */
};

enum io_open {
    IO_OPEN_ANYWHERE,  /* for reading */
    IO_OPEN_BENEATH,   /* likewise, below dirfd only (RESOLVE_BENEATH, openat2(2)) */
    IO_OPEN_DIRECTORY, /* a directory, for use as a dirfd only (O_PATH) */
};

/* An operation with one completion: files, connect, poll, shutdown, close. */
struct io_call {
    struct io_op op;
    union {
        struct {
            int dirfd;
            uint8_t how; /* enum io_open */
            const char *path;
            struct stat *stat; /* out */
        } open;                /* result: descriptor */
        struct {
            const char *path;
            int flags; /* O_CREAT, O_EXCL, O_TRUNC or O_TMPFILE */
            uint32_t mode;
            struct stat *stat; /* out */
        } create;              /* result: descriptor */
        struct {
            int dirfd;
            int flags;
            const char *path;
            struct statx *out;
        } statx;
        struct {
            int fd;
            uint32_t size;
            void *buf;
            uint64_t offset;
        } read; /* result: count */
        struct {
            int fd;
            uint32_t size;
            const void *buf;
            uint64_t offset;
        } write; /* result: count, which may be less than `size` */
        struct {
            int fd;
        } sync;
        struct {
            const char *from; /* a link as the last component is followed by IO_LINK alone */
            const char *to;
            bool replace; /* IO_RENAME: `to` may exist, which is -EEXIST otherwise */
        } name;           /* IO_LINK, IO_RENAME */
        struct {
            const char *path;
        } unlink;
        struct {
            int fd;
        } close;
        struct {
            int fd;
            const struct sockaddr *addr;
            socklen_t len;
        } connect; /* of a Unix socket: -EAGAIN while the queue there is full */
        struct {
            int fd;             /* others may poll it, too; the engine keeps its file open */
            short events;       /* of poll(2) */
            bool at_once;       /* the descriptor may be closed within this turn */
            int watched, found; /* engine */
            bool repeated;      /* engine */
        } poll;                 /* result: revents */
        struct {
            void *addr;
            uint32_t size;
        } populate;
        struct {
            struct io_sock *sock;
        } sock; /* IO_CLOSE_SOCK, IO_SHUTDOWN, IO_UNACKED (result: count) */
    };
};

/* A function to run once, later in this turn, after completions and timers, on the main stack. */
struct io_task {
    struct fifo_node link;
    void (*fn)(struct io_task *t);
    bool queued;
};

/* A function that another thread has a core run, on the main stack. */
struct io_post {
    struct io_post *next;
    void (*fn)(struct io_post *p);
    _Atomic bool queued;
};

/* What other threads hand to a core. */
struct io_inbox {
    char apart[64]; /* from what the core writes, as those threads would share its cache line */
    struct io_post *_Atomic newest;
    _Atomic uint32_t posters; /* threads in io_post */
    _Atomic bool woken;       /* io_wake was called since io_woken */
};

struct io_engine;

/* What was refused when io_open failed. */
struct io_refusal {
    const char *call;  /* the system call */
    const char *limit; /* where memory was short: a hint of base/limit.h, or "" */
};

struct io {
    const struct io_engine *engine;
    uint64_t now;          /* ns, read once a turn; others read it with counter_get */
    struct stopwatch code; /* runs while the core runs request code: started and stopped by those
                              above, and halted by an engine that sends or receives meanwhile */
    int error; /* negative errno once the engine has failed for good, as when the kernel refuses
                  its system call: nothing completes any more, and it cannot be closed */
    struct wheel wheel;
    struct buf_pool bufs;
    const char *lease; /* bytes for the running recv callback; its result is their count */
    struct fifo done;  /* completions produced without the kernel */
    struct fifo tasks;
    struct io_post *posts; /* taken from the inbox, oldest first */
    uint32_t in_flight;    /* operations without their final completion */
    struct io_stats stats;
    uint64_t cqes_before; /* stats.cqes at the end of the last turn */
    struct io_config config;
    void (*on_wake)(struct io *io);     /* called on the core after io_wake */
    void (*on_turn_end)(struct io *io); /* called before each wait */
    uint64_t turn_end;                  /* ns; set before on_turn_end */
    uint64_t took, due;                 /* ns: the last turn; when the wait after it has to end */
    uint64_t behind_until;              /* ns; see io_is_behind */
    uint64_t late;                      /* ns; by what it fell behind, in all */
    uint64_t late_from, late_at;        /* ns; see io_heard_until */
    uint64_t alarm; /* ns; on_alarm runs at this time, with the precision of kernel timers rather
                       than wheel ticks. WHEEL_NEVER: off */
    void (*on_alarm)(struct io *io); /* called once per alarm; may set the next */
    void *user;                      /* for the core */
    char *scrap;                     /* what io_is_cached reads and does not look at; NULL before */
    size_t kept;    /* bytes of memory for input that streams keep until it is read */
    bool keep_less; /* memory for input is short: a stream receives only when all has been read */
    uint32_t n_parked; /* set by those above: functions that wait, perhaps for a post */
    int wake_fd;
    ino_t wake_inode; /* of its file, which is that of other eventfds, too */
    void *state;      /* private to the engine */
    struct io_refusal refused;
    struct io_inbox inbox;
};

/* The engines in this build, best first, terminated by NULL. */
extern const struct io_engine *const io_engines[];

/* The name as used by --engine. */
const char *io_engine_name(const struct io_engine *e);

/* NULL if this build has no engine of that name. */
const struct io_engine *io_engine_find(const char *name);

/* Whether an engine of that name exists, in this build or not. */
bool io_engine_known(const char *name);

/* Whether depth, cq_depth and features of the configuration apply to the engine. */
bool io_engine_has_ring(const struct io_engine *e);

/* Whether a core of the engine is a thread that one connection holds until it is closed, whatever
 * it waits for: the classic model. Such an engine is chosen by its name alone. */
bool io_holds_thread(const struct io_engine *e);

/* Chooses the engine named `name` or, if NULL, the best that this kernel allows; NULL if there is
 * none. Fits the configuration as io_probe does. `report` receives one line for each engine that is
 * refused (with the reason and the substitute), for missing features and for a smaller depth. If
 * NULL is returned, the last line is the reason, and *err its negative errno. */
const struct io_engine *io_choose(const char *name, struct io_config *config,
                                  void (*report)(void *arg, const char *line), void *arg, int *err);

/* Checks whether the kernel allows the engine, by opening it for a moment as often and in the size
 * that is wanted. 0, or negative errno and the reason in `why`. On success `why` lists the missing
 * features, separated by commas ("" for none), and they are cleared in config->features; depth and
 * cq_depth are reduced to what the limits of memory allow. */
int io_probe(const struct io_engine *e, struct io_config *config, char *why, size_t size);

/* Writes what an error of io_open means, and the way out. */
void io_explain(const struct io *io, int err, char *why, size_t size);

/* The system call in which the engine waits, which io->error is of. */
const char *io_wait_call(const struct io_engine *e);

/* How many connections an engine with this configuration can hold under a descriptor limit. */
uint64_t io_max_sockets(const struct io_config *config, uint64_t descriptors);

/* Opens a listening socket in the mode that suits the engine; see sock_listen and local_listen. */
int io_listen(const struct io_engine *e, struct sock_addr *addr, int backlog);

/* Call on the thread that will use it. 0, or negative errno if the engine cannot start. */
int io_open(struct io *io, const struct io_engine *engine, const struct io_config *config);

/* Asserts that nothing is in flight and every buffer has been returned. */
void io_close(struct io *io);

/* In a process that the engine's thread has forked: the process ends with the turn, and no call
 * touches what it has in common with the other: the ring, the epoll instance, the sockets. What is
 * started there never completes. */
void io_forked(struct io *io);

/* Whether the program has closed the engine's descriptors, as close_range(2) does on any thread, or
 * their numbers are of other files since: then sets io->error. An engine that waits does not learn
 * of it, and nothing can wake it, so it is asked now and then. */
void io_check(struct io *io);

/* One turn: submits pending operations, waits for a completion, a deadline, io_wake or io_post,
 * then runs completions, timers, posts and tasks, in this order. */
void io_turn(struct io *io);

/* Wakes the core and has on_wake called. Thread-safe and async-signal-safe. Several wakes may be
 * merged into one. */
void io_wake(struct io *io);

/* Has the core run p->fn soon, once; what the caller wrote before is visible to it. Without effect
 * while `p` is queued already. From then on `p` belongs to the core until fn runs. Thread-safe and
 * async-signal-safe; wakes the core only if nothing else was queued. 0; -ESHUTDOWN once the inbox
 * is closed. */
int io_post(struct io *io, struct io_post *p);

/* Refuses posts from now on; false if some have not run yet, which the next turns do. On the core,
 * once it has nothing else to do. */
bool io_close_inbox(struct io *io);

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

/* A core that is held, or stopped, for so long is behind for as long again, up to the second. */
#define IO_LATE_NS   (50 * NS_PER_MS)
#define IO_BEHIND_NS NS_PER_S

/* Whether the core has fallen behind a moment ago. What has come may not have been received yet: a
 * peer is not to be blamed for its silence before io->behind_until. */
static inline bool io_is_behind(const struct io *io)
{
    return io->now < io->behind_until;
}

/* Until when the core has heard what its peers sent: not since it fell behind, where that was just
 * now. */
static inline uint64_t io_heard_until(const struct io *io)
{
    return io->now < io->late_at + IO_LATE_NS ? io->late_from : io->now;
}

/* No operation is in flight and nothing is queued to run, posts aside. */
bool io_idle(const struct io *io);

/* Starts the stream of accepted sockets. */
void io_accept_start(struct io *io, struct io_accept *a);

/* With config.one_connection: whether a thread waits for the listener, so that what is queued there
 * is about to be accepted. */
bool io_is_attended(int listener);

/* Initialises a socket from an accept (`accepted`) or from a descriptor of the caller that is
 * connected or about to connect. 0, or negative errno: then the caller must still close it with
 * IO_CLOSE_SOCK. */
int io_sock_init(struct io *io, struct io_sock *s, int fd, bool accepted, io_fn *on_recv);

/* The peer's address, also after its reset. False if it is unknown, as for a direct descriptor
 * where the kernel cannot tell (before Linux 6.7); set io_config.peers to avoid those. It costs a
 * system call, of IPv6 two: ask once. */
bool io_peer(struct io *io, const struct io_sock *s, struct sock_addr *out);

/* Closes a socket from an accept that was not passed to io_sock_init. */
void io_discard(struct io *io, int fd);

/* Starts the recv stream. Each completion either delivers bytes in io->lease (res > 0, `more`) or
 * is the final one: 0 at the peer's end of stream, -ECANCELED after io_cancel, or an error of the
 * socket. */
void io_recv_start(struct io *io, struct io_sock *s);

/* Receives once, into `size` bytes at `into`, on a socket whose recv stream does not run; not more
 * than `size`, so the rest stays in the socket. It waits for the first byte, and takes what is
 * there then. Completes through the callback of the stream, without `more`: with a count; 0 at the
 * peer's end of stream; -ECANCELED, and then it has received nothing; or an error of the socket. No
 * buffer of the core is used, nor is io->lease. */
void io_recv_into(struct io *io, struct io_sock *s, void *into, uint32_t size);

/* Watches a socket whose recv stream does not run, without reading from it. Completes once, through
 * the callback of the stream: with -ECONNRESET when nothing can be sent to the peer any more, as
 * after its reset; with -ESHUTDOWN, if `ends`, when the peer has ended its stream, perhaps behind
 * unread bytes; or with -ECANCELED. */
void io_watch_start(struct io *io, struct io_sock *s, bool ends);

/* Bytes of a send in flight that the kernel has accepted. */
static inline int32_t io_sent_so_far(const struct io_send *s)
{
    return s->op.res;
}

/* Sends every byte of s->iov[0..count); completes with the total or an error. One that is large
 * takes several turns, so that it holds up nobody. */
void io_send_start(struct io *io, struct io_send *s);

/* The same, but entry s->file.at is a part of the file s->file.fd from s->file.offset on, and its
 * pages are sent by reference (sendfile(2)); the address in its iov_base is only counted up. What
 * is before it goes in the same segments. Pages that are not in memory make it wait. What is
 * written to the file, until the peer has acknowledged the bytes, is sent in their place. -EFAULT:
 * the file has become shorter, or cannot be read. -EOPNOTSUPP: it cannot be sent so; the entries
 * tell which bytes are left, to be sent from memory. That is always so of sockets that are not
 * ordinary descriptors (io_config.ordinary). The file stays open until the completion. */
void io_send_file_start(struct io *io, struct io_send *s);

void io_call_start(struct io *io, struct io_call *c, enum io_kind kind);

/* Requests the final completion of `op` soon: -ECANCELED, or its own result if it completed first.
 * A stream may still deliver before it. No effect on an operation that is not in flight or is
 * already being cancelled. */
void io_cancel(struct io *io, struct io_op *op);
