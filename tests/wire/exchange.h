#pragma once
/* Runs one case once, its input split in one way, and says what came of it. */

#include "../support/server.h"
#include "answer.h"
#include "lab_core.h"
#include "split.h"

/* What a connection that is to serve on is asked at the end, and what it answers. */
extern const slice probe_in, probe_out;

struct outcome {
    struct bytes raw; /* what came out, the answer to the probe included */
    bool closed;      /* the server closed, by itself or after the client's end */
    const char *odd;  /* what else went wrong, or NULL */
};

/* In memory. `r` is left without connections. */
void exchange_mem(struct lab_core *lab, const struct wire_case *c, struct split split,
                  struct outcome *o);

/* Before the server is started: it and the client will share one CPU. */
void exchange_live_prepare(void);

/* With a server that runs. */
void exchange_live(const struct server_addr *addr, const struct wire_case *c, struct split split,
                   struct outcome *o);
