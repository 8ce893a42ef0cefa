#pragma once
/* A bounded pool of threads for code that blocks or computes for long; a server has one, and one
 * that opens files. Jobs wait in one queue under one mutex: it is off the path of ordinary
 * requests. A job ends once; its core learns that by a post, unless it has left the job before. */

#include "base/list.h"
#include "io/io.h"

struct offload;
struct torc_job;

typedef int offload_fn(struct torc_job *j, void *arg);

enum { OFFLOAD_NAME = 160 };

enum offload_state { OFFLOAD_NEW, OFFLOAD_QUEUED, OFFLOAD_RUNNING, OFFLOAD_ENDED };

/* The caller sets the first five, then leaves it alone until `done` or `orphaned`; handlers see it
 * as torc_job. */
struct torc_job {
    offload_fn *fn; /* runs on a thread of the pool */
    void *arg;
    /* Writes what it is, as "a job of GET /"; from a signal handler while it runs. Or NULL. */
    void (*describe)(const struct torc_job *j, char out[OFFLOAD_NAME]);
    void (*done)(struct torc_job *j);     /* on the core that started it: it has ended */
    void (*orphaned)(struct torc_job *j); /* on the thread, if the core has left it: likewise */

    struct list link; /* in the queue */
    struct offload *pool;
    struct io *io; /* of the core */
    struct io_post post;
    uint64_t since;         /* ns: when it was queued */
    _Atomic bool cancelled; /* see torc_work_cancelled */
    bool left;              /* the core does not wait for it */
    uint8_t state;          /* enum offload_state; the pool's mutex guards this and `left` */
    int result;             /* of fn */
};

struct offload_stats {
    uint64_t threads, busy;            /* now */
    uint64_t queued, queued_peak;      /* jobs that no thread has begun */
    uint64_t jobs;                     /* that have ended */
    uint64_t cancelled;                /* told to end, or taken from the queue */
    uint64_t rejected;                 /* the queue was full, or no thread could be started */
    uint64_t waited_ns, waited_max_ns; /* in the queue, of the jobs that were begun */
    uint64_t ran_ns;                   /* of the jobs that have ended */
};

/* A pool of up to `threads` threads, which are started as jobs come and may use the CPUs that the
 * caller may use; 0 makes a pool that takes no job. `queue` jobs wait at most. NULL if out of
 * memory. */
struct offload *offload_new(uint32_t threads, uint32_t queue);

/* The name of its threads, of 15 bytes at most, and what stands before their number in a message;
 * both stay the caller's. Without it the pool is that of --work-threads. */
void offload_set_name(struct offload *p, const char *name, const char *of);

/* Has each thread call `begin` first and `end` last. Before any is started. */
void offload_set_hooks(struct offload *p, void (*begin)(void), void (*end)(void));

/* The job whose `fn` this thread runs, or NULL. Async-signal-safe, as is the next. */
const struct torc_job *offload_running(void);

void offload_describe(const struct torc_job *j, char out[OFFLOAD_NAME]);

/* Starts all threads now, so that they share the caller's descriptors and not those of a core.
 * Those that the system refuses are not started later. How many there are. */
uint32_t offload_start_all(struct offload *p);

/* Queues a job of the core `io`. 0; -EAGAIN if the queue is full or there is no thread, -ENOSYS
 * without a pool (NULL included): then nothing happens. */
int offload_start(struct offload *p, struct torc_job *j, struct io *io);

/* Tells a job to end, on its core. True if it had not begun and never will: then neither function
 * is called. */
bool offload_cancel(struct torc_job *j);

/* Cancels a job that is not in the queue, and leaves it, on its core. True if it runs: `orphaned`
 * is then called instead of `done`, perhaps before this returns. False if it has ended: `done`
 * still follows, if it was not called yet and the core's inbox is not closed. */
bool offload_leave(struct torc_job *j);

void offload_read_stats(struct offload *p, struct offload_stats *out);

/* Takes no more jobs and waits until `deadline` (ns) for those that run; a deadline in the past
 * does not wait for them. False if one has not returned: the pool then remains, and this may be
 * tried again. Call when no core runs. */
bool offload_stop(struct offload *p, uint64_t deadline);

/* Leaves the threads of a pool that does not stop to end by themselves, if ever. The pool must
 * stay.
 */
void offload_detach(struct offload *p);

/* Frees a stopped pool. NULL is allowed. */
void offload_free(struct offload *p);
