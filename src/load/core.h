#pragma once
/* One core of the generator: a thread with an engine and its connections. Cores share nothing; the
 * main thread commands the phase and reads the counts. */

#include "load/client.h"

#include <pthread.h>
#include <stdatomic.h>

struct load_core {
    struct load_context context;
    const struct io_engine *engine;
    uint32_t index; /* of plan->n_cores */
    struct client *clients;
    uint32_t n_clients;
    uint32_t started;    /* clients that have begun to connect */
    uint64_t ramp_start; /* ns */
    struct wheel_timer ramp;
    pthread_t thread;
    _Atomic int tid;     /* of the thread; 0 until it runs */
    _Atomic int command; /* the enum phase to enter, by the main thread */
    int wake_fd;         /* an eventfd, written after a command */
    int error;           /* negative errno where the engine did not open; then `failed` */
    _Atomic bool failed; /* the thread has ended */
    _Atomic bool broken; /* the engine failed later: the thread has ended and the core stays */
};

/* Starts the thread of core `index`; it ends when PHASE_END has closed everything. `completed_fd`
 * as in struct record. 0 or negative errno. For a zeroed core. */
int load_core_start(struct load_core *c, const struct plan *plan, const struct io_engine *engine,
                    uint32_t index, int completed_fd);

/* Thread-safe. */
void load_core_command(struct load_core *c, enum phase phase);

/* Waits for the thread's end. The record stays until the core is freed. */
void load_core_join(struct load_core *c);
void load_core_free(struct load_core *c);
