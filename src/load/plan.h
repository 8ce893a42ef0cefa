#pragma once
/* What a run is to do: the command line, read and checked. */

#include "base/cpus.h"
#include "io/io.h"
#include "io/sock.h"
#include "load/request.h"

enum { PLAN_REQUESTS = 64, PLAN_HEADERS = 64, PLAN_WATCHED = 64, PLAN_ADDRS = 16 };

struct plan {
    const char *engine; /* NULL: the best that works */
    struct io_config io;
    uint16_t cpu[CPUS_MAX];
    uint32_t n_cores;
    bool pin;

    struct sock_addr addr; /* the server's: the first of addrs, or which of them a run has chosen */
    struct sock_addr addrs[PLAN_ADDRS]; /* all that its name has */
    uint32_t n_addrs;
    char *host; /* as it was written, with its port */
    struct request request[PLAN_REQUESTS];
    uint32_t n_requests;
    uint32_t n_sequences;

    uint32_t connections;                     /* of all cores */
    uint32_t pipeline;                        /* requests in flight on one */
    uint64_t per_connection;                  /* requests, then it is closed; 0: no end */
    uint64_t duration, warmup, ramp, timeout; /* ns */
    uint64_t count; /* requests in all; 0: as many as the duration allows */
    double rate;    /* requests a second in all; 0: closed loop */
    bool poisson;
    uint64_t seed;

    uint32_t expect_status; /* 0: any 2xx */
    slice expect_body;      /* NULL: any */

    int watched[PLAN_WATCHED]; /* process ids whose CPU time is read */
    uint32_t n_watched;
    const char *json, *hdr; /* files; NULL: not written; "-" is stdout */
    bool quiet;
};

/* Reads the command line into *p. 0; 1 where --help or --version has been answered; -1 with a line
 * on stderr. What it allocates is the program's until it ends. */
int plan_read(struct plan *p, int argc, char **argv);
