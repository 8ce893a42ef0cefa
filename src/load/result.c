#include "load/result.h"

#include <errno.h>
#include <stdio.h>

#define SATURATED  0.95   /* share of its cores from which on the generator limits the result */
#define DELAYED    0.05   /* share of the time from which on run delay or a standstill does */
#define WAKE_UP_NS 100000 /* the longest run delay of a thread that wakes up on an idle CPU */

double result_seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

double result_per_second(const struct run *r, uint64_t n)
{
    return r->wall_ns ? (double)n / result_seconds(r->wall_ns) : 0;
}

uint64_t result_errors(const struct run *r)
{
    uint64_t n = 0;
    for (int e = 0; e < LOAD_ERRORS; e++) n += r->counts.errors[e];
    return n;
}

uint64_t result_attempts(const struct run *r)
{
    return r->counts.issued + r->counts.retries;
}

bool result_has_replies(const struct run *r)
{
    return r->counts.replies > 0 || r->counts.answered > 0;
}

/* A part of the time that all cores have. */
static double share(const struct run *r, uint64_t ns)
{
    double all = result_seconds(r->cpu_wall_ns) * r->plan->n_cores;
    return all > 0 ? result_seconds(ns) / all : 0;
}

double result_cpu_share(const struct run *r)
{
    return share(r, r->cores_ns);
}

double result_cpu_ns_per_reply(const struct run *r)
{
    uint64_t n = r->cpu_replies;
    return n ? (double)(r->user_ns + r->system_ns) / (double)n : 0;
}

bool result_saturated(const struct run *r)
{
    return result_cpu_share(r) >= SATURATED;
}

/* The kernel counts a wait when it ends, so that of a short run may have begun long before. No
 * thread waits for its CPU while it is on it. */
double result_run_delay_share(const struct run *r)
{
    double waited = share(r, r->run_delay.ns), most = 1 - result_cpu_share(r);
    if (waited <= most) return waited;
    return most > 0 ? most : 0;
}

bool result_run_delay_matters(const struct run_delay *d)
{
    return d->ns > d->runs * WAKE_UP_NS;
}

bool result_is_delayed(const struct run *r)
{
    return result_run_delay_share(r) > DELAYED && result_run_delay_matters(&r->run_delay);
}

enum load_limit result_limit(const struct run *r)
{
    if (result_saturated(r)) return LIMIT_CORES;
    if (r->connect_error == EADDRNOTAVAIL) return LIMIT_PORTS;
    if (result_is_delayed(r)) return LIMIT_RUN_DELAY;
    if (share(r, r->late_ns) > DELAYED) return LIMIT_LATE;
    if (r->unsent && !r->counts.errors[ERROR_CONNECT]) return LIMIT_RATE;
    return LIMIT_NONE;
}

const char *result_advice(const struct run *r, char text[RESULT_ADVICE])
{
    static const char *const advice[] = {
        [LIMIT_CORES] =
            "the generator's cores were saturated, so it may limit the rate and add to the "
            "latency: use more (--cores), or compare the server's CPU time instead",
        [LIMIT_PORTS] = "this host ran out of ports: widen net.ipv4.ip_local_port_range, or send "
                        "more requests on each connection",
        [LIMIT_RATE] = "requests were due while no connection was free: the server is slower than "
                       "--rate, or --connections is too low",
    };
    enum load_limit limit = result_limit(r);
    if (limit == LIMIT_NONE) return NULL;
    if (limit == LIMIT_LATE)
        snprintf(
            text, RESULT_ADVICE,
            "the generator stood still for %.2f s, as where it or its machine is stopped, or "
            "other programs keep it from its CPU: what was due meanwhile was sent late or never",
            result_seconds(r->late_ns / r->plan->n_cores));
    else if (limit == LIMIT_RUN_DELAY)
        snprintf(text, RESULT_ADVICE,
                 "other programs kept the generator from its CPU for %.0f %% of the run, which "
                 "limits the rate and adds to the latency: end them, or pin it to a CPU that they "
                 "do not use (--cores LIST)",
                 result_run_delay_share(r) * 100);
    else
        snprintf(text, RESULT_ADVICE, "%s", advice[limit]);
    return text;
}

int result_status(const struct run *r)
{
    bool fewer = r->plan->count && r->counts.completed < r->plan->count;
    return result_errors(r) > 0 || !result_has_replies(r) || r->unanswered > 0 || fewer ||
           r->interrupted || r->watch.ended;
}
