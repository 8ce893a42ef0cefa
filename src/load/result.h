#pragma once
/* The figures of a run that are computed from what it measured. */

#include "load/run.h"

/* What the run may have measured instead of the server. */
enum load_limit {
    LIMIT_NONE,
    LIMIT_CORES,     /* the generator's cores were saturated */
    LIMIT_PORTS,     /* this host ran out of ports to connect from */
    LIMIT_RUN_DELAY, /* other programs used the generator's cores */
    LIMIT_LATE,      /* the generator stood still, as where it is stopped */
    LIMIT_RATE,      /* requests were due and no connection was free: the server is too slow, or
                        there are too few connections */
};

enum { RESULT_ADVICE = 240 };

double result_seconds(uint64_t ns);
double result_per_second(const struct run *r, uint64_t n);
uint64_t result_errors(const struct run *r);

/* How often measured requests were sent: each once, and again whenever its client tried again. */
uint64_t result_attempts(const struct run *r);

/* Whether there was a good reply. In an open loop that is too fast, all replies may be to requests
 * that were due before the measurement. */
bool result_has_replies(const struct run *r);

/* The generator's CPU time: that of its cores' threads as a part of what its cores have, and all of
 * it per reply. */
double result_cpu_share(const struct run *r);
double result_cpu_ns_per_reply(const struct run *r);
bool result_saturated(const struct run *r);

/* Its threads' run delay, as a part of the time; and whether that disturbed the run. */
double result_run_delay_share(const struct run *r);
bool result_is_delayed(const struct run *r);

/* A thread that wakes up on an idle CPU has a run delay too: the time that the CPU takes to wake
 * up, tens of us in a virtual machine. True where it was longer, because of other programs. */
bool result_run_delay_matters(const struct run_delay *d);

/* The one to be fixed first. */
enum load_limit result_limit(const struct run *r);

/* What to do about the limit, written to `text`; NULL where there is none. */
const char *result_advice(const struct run *r, char text[RESULT_ADVICE]);

/* The exit status: 0 when there were good replies and no errors, and the watched processes still
 * run. */
int result_status(const struct run *r);
