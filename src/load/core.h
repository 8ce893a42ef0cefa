#pragma once
/* One core of the generator: its ring, its connections, when each next request is due, and what
 * came of those that were sent. Nothing is shared with other cores but the phase, which is told. */

#include "base/histogram.h"
#include "load/first.h"
#include "load/plan.h"
#include "load/schedule.h"

#include <pthread.h>
#include <stdatomic.h>

enum load_error {
    ERROR_CONNECT,
    ERROR_RESET,
    ERROR_TIMEOUT,
    ERROR_STATUS,
    ERROR_FRAMING,
    ERROR_BODY,
    LOAD_ERRORS
};

extern const char *const load_error_names[LOAD_ERRORS];

/* Where a run stands; only ever forward. */
enum phase {
    PHASE_CONNECT, /* connections are opened, nothing is asked */
    PHASE_WARM,    /* requests are sent and not counted */
    PHASE_MEASURE,
    PHASE_DRAIN, /* no new requests; those in flight come home */
    PHASE_END,   /* everything is closed */
};

/* One writer, its core; the watcher reads them meanwhile. */
struct load_counts {
    uint64_t replies;  /* good ones that are measured; see load_core_measures */
    uint64_t answered; /* good ones in PHASE_MEASURE, whenever they were asked: what was done in
                          that time */
    uint64_t total;    /* good ones ever */
    uint64_t bytes_in, bytes_out;
    uint64_t connects;        /* that succeeded */
    uint64_t connecting_done; /* first attempts that came to an end, either way */
    uint64_t issued;   /* requests handed out while measuring; in closed loop over a time, ever */
    uint64_t settled;  /* of those, answered or given up */
    uint64_t draining; /* 1 once `issued` stands: nothing more is handed out */
    uint64_t errors[LOAD_ERRORS]; /* from the first connect to the last reply, warm-up included */
    uint64_t errors_measured[LOAD_ERRORS]; /* of these, those of what is measured, as `replies` and
                                              `status` */
    uint64_t status[600]; /* of measured replies that have one, right or wrong; [0]: beyond 599 */
};

/* A request that is to be sent, or whose reply is awaited. */
struct pending {
    uint64_t intended, sent; /* ns; `intended` is 0 where it is as good as `sent`, until that is
                              * known; `sent` is when it was taken on, until then */
    uint32_t request;
    bool counted; /* it is among load_counts.issued */
};

/* A reply that was found right, against which the next can be compared as a whole. */
struct sample {
    char *bytes;
    uint32_t len, cap;
    uint32_t date; /* where the 29 bytes of its Date are; == len where it has none */
    uint16_t status;
    uint16_t misses; /* in a row: replies that differ each time are not worth comparing */
};

struct client;

struct load_core {
    pthread_t thread;
    _Atomic int tid; /* of the thread; 0 until it runs */
    const struct plan *plan;
    const struct io_engine *engine;
    uint32_t index;
    uint32_t n_clients;
    uint64_t share; /* of plan->count */
    struct io io;
    struct client *clients;
    struct difference *differences; /* by client: of the body at hand, where it is wrong */
    int wake_fd;                    /* an eventfd; made by the main thread */
    _Atomic int order;              /* enum phase that the main thread asks for */
    enum phase phase;
    uint32_t open;     /* clients that are not at rest */
    int connect_error; /* the last one, positive errno */
    struct list idle;  /* clients with room for a request, longest idle first */
    struct schedule schedule;
    struct pending
        *owed; /* of an open loop, to be asked again: [owed_head, owed_tail), oldest first */
    uint32_t owed_head, owed_tail, owed_cap;
    struct wheel_timer ramp;
    uint64_t measure_from, measure_to; /* ns, by this core's clock */
    uint64_t unsent;                   /* due while measuring, and never sent */
    struct filler filler;
    struct sample *samples; /* by request */
    uint32_t next_request;
    uint32_t started; /* clients, of the ramp */
    struct load_counts counts;
    struct first_error first[LOAD_ERRORS];
    struct histogram *corrected, *raw;
    int error; /* negative errno where the engine did not open */
    void (*on_settled)(
        struct load_core *c); /* wakes the main thread: counts->settled reached the share */
    void *owner;
};

/* Opens the engine and serves until PHASE_END is done with, on its own thread. */
int load_core_start(struct load_core *c);
void load_core_order(struct load_core *c, enum phase phase); /* from any thread */
void load_core_join(struct load_core *c);

/* ---- for clients ---- */

/* Whether connections are opened, still or again. */
bool load_core_connects(const struct load_core *c);

/* A client has room for requests: is given those of a closed loop, or waits for those of an open
 * one. */
void load_core_has_room(struct load_core *c, struct client *client);

/* Whether what ends now belongs to what is measured: in closed loop over a time, whatever is
 * answered within it; else what was asked within it. */
bool load_core_measures(const struct load_core *c, bool counted);

/* A request has come to its end. Times are in ns; `counted` as in struct pending. Of an error that
 * no request is to blame for, `p` is NULL. */
void load_core_good(struct load_core *c, uint64_t intended, uint64_t sent, uint64_t now,
                    bool counted);
void load_core_bad(struct load_core *c, enum load_error why, const struct pending *p);

/* Where an error that is about to be counted is to be told: NULL where there was one of its
 * kind. */
static inline struct first_error *load_core_first(struct load_core *c, enum load_error why)
{
    return c->counts.errors[why] ? NULL : &c->first[why];
}

/* A request that was taken on goes back unanswered, through nobody's fault: of those that the
 * server leaves behind the reply with which it closes, none has been processed (RFC 9112, 9.6). In
 * open loop this one is asked again, in closed loop another in its place. */
void load_core_return(struct load_core *c, const struct pending *p);
