#pragma once
/* The record of one core: requests issued, their replies, latencies and errors. */

#include "base/counter.h"
#include "base/histogram.h"
#include "load/error_sample.h"
#include "load/pipeline.h"
#include "load/plan.h"

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

/* The phases of a run, in their order. */
enum phase {
    PHASE_CONNECT, /* connections are opened, no requests are sent */
    PHASE_WARM,    /* requests are sent and not counted */
    PHASE_MEASURE,
    PHASE_DRAIN, /* no new requests; the replies to those in flight are awaited */
    PHASE_END,   /* everything is closed */
};

/* The core writes them, the main thread reads them meanwhile. */
struct load_counts {
    uint64_t replies;  /* measured good replies; see record_measures */
    uint64_t answered; /* good replies in PHASE_MEASURE, whenever their requests were due */
    uint64_t total;    /* all good replies */
    uint64_t bytes_in, bytes_out; /* in PHASE_MEASURE */
    uint64_t connects;            /* that succeeded */
    uint64_t connecting_done;     /* connections whose first attempt has succeeded or failed */
    uint64_t issued;    /* requests issued in PHASE_MEASURE; in a closed loop over a time, in any */
    uint64_t retries;   /* of those, sent again because the deadline had passed; each time */
    uint64_t completed; /* of those, answered or failed */
    uint64_t draining;  /* 1 once `issued` is final */
    uint64_t errors[LOAD_ERRORS];          /* of the whole run, warm-up included */
    uint64_t errors_measured[LOAD_ERRORS]; /* of these, the measured ones, as `replies` */
    uint64_t status[1000];                 /* of measured replies, good or not */
};

struct record {
    const struct plan *plan;
    enum phase phase;
    struct load_counts counts;
    struct error_sample sample[LOAD_ERRORS];
    struct histogram *corrected, *raw;
    int connect_error;     /* the last one, a positive errno */
    uint64_t share;        /* of plan->count */
    int completed_fd;      /* an eventfd, written when counts.completed reaches `share` */
    uint64_t completed_at; /* ns; when that was; 0: not yet */
};

/* Allocates the histograms; false without memory. */
bool record_init(struct record *r, const struct plan *plan, uint64_t share, int completed_fd);
void record_free(struct record *r);

/* Whether a reply or error belongs to the measurement: in a closed loop over a time, where it ends
 * in PHASE_MEASURE; otherwise where its request was issued in it. `counted` is that of struct
 * pending. */
bool record_measures(const struct record *r, bool counted);

/* The status of a reply, good or not. */
void record_status(struct record *r, const struct pending *p, uint16_t status);

/* The good reply to `p`, received at `now` (ns). */
void record_good(struct record *r, const struct pending *p, uint64_t now);

/* `p` is NULL where the error concerns no request. */
void record_error(struct record *r, enum load_error kind, const struct pending *p);

/* Adds `n` bytes that were received or sent to `*count`, one of the counts. */
static inline void record_bytes(struct record *r, uint64_t *count, int n)
{
    if (r->phase == PHASE_MEASURE) counter_add(count, (uint64_t)n);
}

/* Where to describe an error that is about to be recorded; NULL after the first of its kind. */
static inline struct error_sample *record_sample(struct record *r, enum load_error kind)
{
    return r->counts.errors[kind] ? NULL : &r->sample[kind];
}

static inline bool record_open_loop(const struct record *r)
{
    return r->plan->rate > 0;
}

/* In a closed loop over a time every request counts, whenever it was issued. */
static inline bool record_counts_all(const struct record *r)
{
    return !record_open_loop(r) && !r->plan->count;
}
