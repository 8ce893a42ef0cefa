#pragma once
/* Runs one case once, with its input split in one way, and reports the outcome. */

#include "../support/server.h"
#include "answer.h"
#include "lab_core.h"
#include "split.h"

/* Request and response that show at the end that a connection still serves. */
extern const slice probe_in, probe_out;

struct outcome {
    struct bytes raw;    /* the output, including the response to the probe */
    bool closed;         /* the server closed, on its own or after the client's end of stream */
    const char *problem; /* any other problem, or NULL */
};

/* Runs in memory; leaves `r` without connections. */
void exchange_mem(struct lab_core *r, const struct wire_case *c, struct split split,
                  struct outcome *o);

/* Call before the server is started: makes it and the client share one CPU. */
void exchange_live_prepare(void);

/* Runs against a live server. */
void exchange_live(const struct server_addr *addr, const struct wire_case *c, struct split split,
                   struct outcome *o);
