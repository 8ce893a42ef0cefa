#pragma once
/* The three measures of a run: concurrency L, parallelism P and asynchrony A. All of it runs on the
 * admin core, which reads what the cores have counted; but measures_now may run anywhere. */

#include "base/json.h"
#include "io/io.h"

struct core;

/* Sums of one core, in ns. None of them ever decreases. */
struct measured {
    uint64_t lifetime; /* end - arrival of its requests; of those in progress until now */
    uint64_t on_core;  /* while it ran their code */
    uint64_t held;     /* while they held a thread */
};

/* Looks, while somebody asks, how many cores run request code at that instant. */
struct measures {
    const struct core *cores;
    uint32_t n_cores;
    bool holds_thread;   /* see io_holds_thread */
    uint64_t started_at; /* ns */
    struct ticks_origin since;
    struct io *io;         /* the admin core's; NULL before the first reading */
    struct measured *told; /* by core: the last reading; NULL before the first */
    uint64_t read_at;      /* ns; its time */
    struct wheel_timer look;
    uint64_t until;   /* ns; looks until then */
    uint32_t running; /* the most cores that were seen to run request code at once */
};

/* When the cores have started, and when all have ended. */
void measures_begin(struct measures *m, const struct core *cores, uint32_t n_cores,
                    bool holds_thread, uint64_t started_at);
void measures_end(struct measures *m);

/* The sums of all cores now, and the time since the start; ns. From any thread. Between two of
 * these, those of `on_core` may be corrected downwards. */
struct measured measures_now(const struct measures *m, uint64_t *wall);

/* Somebody asks: reads all cores. `io` is the admin core's. 0, or -ENOMEM. */
int measures_read(struct measures *m, struct io *io);

/* As members of /stats.json: "measures", and the sums of the core at `i`. */
void measures_put(const struct measures *m, struct json *j);
void measures_put_core(const struct measures *m, struct json *j, uint32_t i);

/* For /metrics. */
void measures_text(const struct measures *m, struct writer *out);
