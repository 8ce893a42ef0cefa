/* A server for test_timing.c and test_timeline.c: handlers that compute, wait, and stream. */

#include <torc.h>

#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* 20 ms of the clock. */
static void spin(void)
{
    struct timespec ts;
    int64_t now, end = 0;
    do {
        clock_gettime(CLOCK_MONOTONIC, &ts);
        now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
        if (!end) end = now + 20000000;
    } while (now < end);
}

static void plain(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", TORC_S("plain"));
}

static void both(torc_req *rq, void *arg)
{
    (void)arg;
    spin();
    torc_sleep(rq, 40);
    spin();
    torc_reply(rq, 200, "text/plain", TORC_S("both"));
}

static void long_turn(torc_req *rq, void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) spin();
    torc_reply(rq, 200, "text/plain", TORC_S("long"));
}

/* Until its body comes. */
static void hold(torc_req *rq, void *arg)
{
    char byte;
    (void)arg;
    torc_body_read(rq, &byte, 1);
    torc_reply(rq, 200, "text/plain", TORC_S("hold"));
}

/* What follows the head is not in it. */
static void stream(torc_req *rq, void *arg)
{
    (void)arg;
    spin();
    torc_start(rq, 200, "text/plain", -1);
    torc_sleep(rq, 40);
    torc_write(rq, "stream", 6);
}

static void own(torc_req *rq, void *arg)
{
    (void)arg;
    torc_set_header(rq, TORC_S("Server-Timing"), TORC_S("db;dur=5"));
    torc_reply(rq, 200, "text/plain", TORC_S("own"));
}

static int child(torc_req *rq, void *arg)
{
    (void)arg;
    spin();
    torc_sleep(rq, 40);
    spin();
    return 0;
}

/* Two fibers that compute for 40 ms each, and wait for each other and for 40 ms. */
static void group(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *g = torc_group_open(rq);
    torc_spawn(g, child, NULL);
    torc_spawn(g, child, NULL);
    torc_group_join(g);
    torc_reply(rq, 200, "text/plain", TORC_S("group"));
}

/* Two calls to another server, or none; and waits if it is told to. */
static void calls(torc_req *rq, void *arg)
{
    char one[TORC_TRACE_PARENT], other[TORC_TRACE_PARENT];
    (void)arg;
    if (torc_trace_parent(rq, one) != torc_trace_parent(rq, other)) return;
    if (torc_query_param(rq, "wait").ptr) torc_sleep(rq, 1);
    torc_replyf(rq, 200, "%s %s", one, other);
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("timed");
    if (!s || torc_route(s, "GET", "/plain", plain, NULL) < 0 ||
        torc_route(s, "GET", "/both", both, NULL) < 0 ||
        torc_route(s, "GET", "/long", long_turn, NULL) < 0 ||
        torc_route(s, "POST", "/hold", hold, NULL) < 0 ||
        torc_route(s, "GET", "/stream", stream, NULL) < 0 ||
        torc_route(s, "GET", "/own", own, NULL) < 0 ||
        torc_route(s, "GET", "/calls", calls, NULL) < 0 ||
        torc_route(s, "GET", "/group", group, NULL) < 0)
        return 1;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
