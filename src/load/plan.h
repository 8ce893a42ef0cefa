#pragma once
/* The plan of a run: the command line, read and checked. */

#include "base/cpus.h"
#include "io/io.h"
#include "io/sock.h"
#include "load/request.h"
#include "load/source.h"

enum {
    PLAN_REQUESTS = 64,
    PLAN_HEADERS = 64,
    PLAN_WATCHED = 64,
    PLAN_ADDRS = 16,
    PLAN_RETRIES = 1000
};

struct plan {
    const char *engine; /* NULL: the best that works */
    struct io_config io;
    uint16_t cpu[CPUS_MAX];
    uint32_t n_cores;
    bool pin;

    struct sock_addr
        addr; /* the server's: the first of addrs, or the one that the run has chosen */
    struct sock_addr addrs[PLAN_ADDRS]; /* all of its name */
    uint32_t n_addrs;
    struct source source; /* that connections come from */
    char *host;           /* of the URL, with its port */
    struct request request[PLAN_REQUESTS];
    uint32_t n_requests;
    uint32_t n_sequences;

    uint32_t connections;                     /* over all cores */
    uint32_t pipeline;                        /* requests in flight on a connection */
    uint64_t per_connection;                  /* requests until it is closed; 0: no limit */
    uint64_t duration, warmup, ramp, timeout; /* ns */
    uint64_t deadline;    /* ns from an attempt until its client gives up; 0: never */
    uint64_t retry_pause; /* ns from giving up to the next attempt */
    uint32_t retries;     /* attempts after the first, at most */
    uint64_t count;       /* requests in total; 0: as many as the duration allows */
    double rate;          /* requests a second in total; 0: closed loop */
    bool poisson;
    uint64_t seed;

    uint32_t expect_status; /* 0: any 2xx */
    slice expect_body;      /* NULL: any */

    int watched[PLAN_WATCHED]; /* process ids whose CPU time is read */
    uint32_t n_watched;
    const char *json, *hdr; /* files; NULL: not written; "-" is stdout */
    bool quiet;
};

/* The longest that a request that is sent at once waits for its reply, over all attempts, in ns. */
static inline uint64_t plan_longest_wait(const struct plan *p)
{
    return p->timeout + p->retries * (p->deadline + p->retry_pause);
}

/* Reads the command line into *p. 0; 1 after --help or --version; -1 with a line on stderr. What it
 * allocates is never freed. */
int plan_read(struct plan *p, int argc, char **argv);
