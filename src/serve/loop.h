#pragma once
/* A loop: a thread, optionally pinned to a CPU, that runs an engine until it is commanded to stop.
 * Its owner decides what runs on it: a loop knows nothing of connections. */

#include "base/cpus.h"
#include "io/io.h"

#include <pthread.h>
#include <stdatomic.h>

/* In order of urgency; each command includes the ones before it. */
enum loop_command { LOOP_RUN, LOOP_DRAIN, LOOP_ABORT };

/* OPEN: so is the engine, and the owner starts. PREPARED and READY are the owner's, which reports
 * them. FAILED: the engine did not open. BROKEN: it failed later; its operations are still the
 * kernel's, so their memory stays as it is until the process ends. */
enum loop_state {
    LOOP_STARTING,
    LOOP_OPEN,
    LOOP_PREPARED,
    LOOP_READY,
    LOOP_FAILED,
    LOOP_BROKEN,
    LOOP_DONE
};

struct loop;

/* Callbacks, all on the loop's thread. */
struct loop_owner {
    void (*start)(struct loop *l); /* the engine is open; before the first turn */
    void (*command)(struct loop *l, enum loop_command command);
    void (*turn_end)(struct loop *l, uint64_t now); /* ns */
    bool (*finished)(const struct loop *l);         /* after a command: no work is left */
    void (*end)(struct loop *l); /* before LOOP_DONE is reported, and the engine closes */
    /* Reports a change of state. Once it is LOOP_BROKEN or LOOP_DONE, nobody may command the loop.
     */
    void (*state)(struct loop *l, enum loop_state state);
};

struct loop {
    /* Written by its own thread and read by the admin core, so on cache lines of its own. */
    _Alignas(64) struct io io;

    /* Set before the thread starts. */
    _Alignas(64) const struct loop_owner *owner;
    const struct io_engine *engine;
    struct io_config config;
    char name[16];       /* of the thread */
    const uint16_t *cpu; /* to pin the thread to; n_cpus of them, or none */
    uint32_t n_cpus;
    struct cpus_mask before_pin; /* the CPUs that it could use before */
    bool private_descriptors;
    int without;     /* a descriptor above 2 that the private table does not keep; or 0 */
    const int *only; /* if n_only > 0, what the private table keeps besides 0 to 2, in order */
    uint32_t n_only;
    pthread_t thread;
    _Atomic int
        tid;        /* the kernel's number of the thread; 0 before its first turn, after its last */
    char decay[32]; /* jemalloc's name of "return what has been free for long"; or empty */

    _Atomic int command;    /* enum loop_command */
    int error;              /* negative errno, for LOOP_FAILED and LOOP_BROKEN */
    const char *refused_by; /* where there is no thread: a hint, of limit_of_thread */
};

/* Opens the descriptor that wakes the loop. Before any loop starts whose thread may post to it:
 * that could have a descriptor table of its own. 0 or negative errno. */
int loop_prepare(struct loop *l);

/* Starts the thread of a prepared loop. 0 or negative errno; the owner's `state` then reports its
 * progress. */
int loop_start(struct loop *l);

/* From any thread. A command that is less urgent than the last one has no effect. */
void loop_command(struct loop *l, enum loop_command command);

static inline bool loop_is_stopping(const struct loop *l)
{
    return l->command != LOOP_RUN;
}

/* On its thread: pins it to its CPUs, as it is from the start on; cpus_unpin undoes it. */
void loop_pin(struct loop *l);

/* Waits for the thread, if it was started, and closes what loop_prepare opened. */
void loop_join(struct loop *l);

/* Returns freed memory to the system, with jemalloc, which does so by itself only while a thread
 * allocates. Without it, see heap.h. */
void loop_return_memory(const struct loop *l);

/* Whether the program is linked with jemalloc; each loop then has its own arena. */
bool loop_has_jemalloc(void);
