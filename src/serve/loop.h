#pragma once
/* A loop: a thread, perhaps pinned to a CPU, that runs an engine until it is told to stop. What it
 * runs is its owner's matter: a loop knows neither how connections come nor what they say. */

#include "io/io.h"

#include <pthread.h>
#include <stdatomic.h>

/* What a loop is told; each includes those before it. */
enum loop_command { LOOP_RUN, LOOP_DRAIN, LOOP_ABORT };

enum loop_state { LOOP_STARTING, LOOP_READY, LOOP_FAILED, LOOP_DONE };

struct loop;

/* All on the loop's thread. */
struct loop_owner {
    void (*start)(struct loop *l); /* the engine is open, no turn has been */
    void (*command)(struct loop *l, enum loop_command command);
    void (*turn_end)(struct loop *l, uint64_t now); /* ns */
    bool (*finished)(const struct loop *l);         /* nothing is left of what was under way */
    void (*end)(struct loop *l);                    /* the last thing before the engine closes */
    void (*state)(struct loop *l, enum loop_state state); /* after LOOP_DONE nobody wakes it */
};

struct loop {
    /* Written by its own thread, read by the admin side: on cache lines of their own. */
    _Alignas(64) struct io io;

    /* Set before the thread starts. */
    _Alignas(64) const struct loop_owner *owner;
    const struct io_engine *engine;
    struct io_config config;
    char name[16]; /* of the thread */
    int cpu;       /* to be pinned to; -1 for none */
    pthread_t thread;

    _Atomic int command; /* enum loop_command */
    int error;           /* of LOOP_FAILED: negative errno */
};

/* 0 or negative errno. The owner's `state` tells what comes of it. */
int loop_start(struct loop *l);

/* From any thread. Commands only grow. */
void loop_command(struct loop *l, enum loop_command command);

static inline bool loop_is_told_to_stop(const struct loop *l)
{
    return l->command != LOOP_RUN;
}

/* Waits for the thread, if there is one. */
void loop_join(struct loop *l);

/* Whether the program runs on jemalloc, which gives each loop an arena of its own. */
bool loop_has_jemalloc(void);
