#pragma once
/* Runs an in-memory client that is interrupted: it disconnects, stops reading, or the server is
 * stopped meanwhile. The connection must still end and leak nothing. */

#include "bytes.h"
#include "lab_core.h"
#include "split.h"

enum broken_event {
    BROKEN_END,
    BROKEN_RESET,
    BROKEN_STALL,
    BROKEN_DRAIN,
    BROKEN_ABORT,
    BROKEN_EVENTS, /* number of events */
};

extern const char *const broken_names[BROKEN_EVENTS];

struct broken {
    enum broken_event event;
    size_t at;      /* bytes of the input sent before the event */
    unsigned turns; /* turns the server gets for them */
    struct split split;
    struct mem_config mem;
};

/* Appends the server's output to `out`; returns what went wrong, or NULL. */
const char *broken_run(struct lab_core *r, slice in, struct broken how, struct bytes *out);
