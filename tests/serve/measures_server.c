/* A server for test_measures.c: a handler that computes and then waits, and keeps its own account
 * of both. With one core no lock is needed. */

#include <torc.h>

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static uint64_t requests, computed, lived; /* ns */

static uint64_t ns_of(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* 10 ms of CPU time, however often the core loses its CPU meanwhile. */
static void spin(torc_req *rq, void *arg)
{
    uint64_t start = ns_of(CLOCK_MONOTONIC), cpu = ns_of(CLOCK_THREAD_CPUTIME_ID);
    (void)arg;
    while (ns_of(CLOCK_THREAD_CPUTIME_ID) - cpu < 10000000) continue;
    computed += ns_of(CLOCK_MONOTONIC) - start;
    torc_sleep(rq, 10);
    lived += ns_of(CLOCK_MONOTONIC) - start;
    requests++;
    torc_reply(rq, 200, "text/plain", TORC_S("x"));
}

static void sums(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "{\"requests\":%" PRIu64 ",\"computed\":%.9f,\"lived\":%.9f}", requests,
                (double)computed / 1e9, (double)lived / 1e9);
}

static void measures(torc_req *rq, void *s)
{
    torc_measures m;
    if (torc_server_measures(s, &m) < 0) return;
    torc_replyf(rq, 200,
                "{\"wall\":%.9f,\"lifetime\":%.9f,\"on_core\":%.9f,\"held\":%.9f,\"cores\":%u,"
                "\"engine\":\"%s\"}",
                m.wall, m.lifetime, m.on_core, m.held, m.cores, m.engine);
}

/* Before the server is ready, and once it has ended. */
static bool is_shut(const torc_server *s)
{
    torc_measures m = {.wall = -1};
    return torc_server_measures(s, &m) == -ESHUTDOWN && m.wall == -1;
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("measured");
    if (!s || torc_route(s, "GET", "/spin", spin, NULL) < 0 ||
        torc_route(s, "GET", "/sums", sums, NULL) < 0 ||
        torc_route(s, "GET", "/measures", measures, s) < 0 || !is_shut(s))
        return 1;
    int status = torc_server_main(s, argc, argv);
    if (!is_shut(s)) status = 1;
    torc_server_free(s);
    return status;
}
