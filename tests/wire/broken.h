#pragma once
/* Runs a client in memory that is not there to the good end: it leaves, stops reading, or the
 * server is told to stop meanwhile. The connection must end all the same and leave nothing
 * behind. */

#include "bytes.h"
#include "lab_core.h"
#include "split.h"

enum broken_event {
    BROKEN_END,
    BROKEN_RESET,
    BROKEN_STALL,
    BROKEN_DRAIN,
    BROKEN_ABORT,
    BROKEN_EVENTS, /* how many there are */
};

extern const char *const broken_names[BROKEN_EVENTS];

struct broken {
    enum broken_event event;
    size_t at;      /* bytes of the input that are sent before it */
    unsigned turns; /* that the server has for these */
    struct split split;
    struct mem_config mem;
};

/* Appends what came out to `out`; returns what went wrong, or NULL. */
const char *broken_run(struct lab_core *lab, slice in, struct broken how, struct bytes *out);
