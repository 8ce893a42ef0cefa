/* A server whose handlers wait and ask whether they still should. What they found is a line of
 * stderr, as some of them have no client to tell. */

#include "torc.h"

#include "unread.h"

#include <stdio.h>
#include <time.h>

enum { STEP = 10 /* ms */, FOREVER = 60 * 1000 };

static void say(const char *what, int err)
{
    fprintf(stderr, "handler: %s %d\n", what, err);
}

/* Sleeps until something ends it. */
static void sleeps(torc_req *rq, void *arg)
{
    (void)arg;
    say("sleeps", 0);
    say("woke with", torc_sleep(rq, FOREVER));
}

/* Asks between short sleeps. */
static void asks(torc_req *rq, void *arg)
{
    int err = 0;
    (void)arg;
    say("asks", torc_client_gone(rq) || torc_draining(rq));
    while (err == 0 && !torc_client_gone(rq) && !torc_draining(rq)) err = torc_sleep(rq, STEP);
    say("was cancelled by", err);
    if (torc_client_gone(rq)) say("has no client", 0);
    if (torc_draining(rq)) torc_reply(rq, 200, "text/plain", TORC_S("draining"));
}

/* Begins to write once it has no client, then sleeps. */
static void writes(torc_req *rq, void *arg)
{
    (void)arg;
    say("writes", 0);
    while (!torc_client_gone(rq))
        if (torc_sleep(rq, STEP) < 0) return;
    say("wrote", torc_start(rq, 200, "text/plain", -1));
    say("woke with", torc_sleep(rq, FOREVER));
}

/* Streams until it is told to stop. */
static void streams(torc_req *rq, void *arg)
{
    int err = 0;
    (void)arg;
    if (torc_start(rq, 200, "text/plain", -1) < 0) return;
    say("streams", 0);
    while (err == 0 && !torc_draining(rq)) {
        err = torc_write(rq, "x", 1);
        if (err == 0) err = torc_sleep(rq, STEP);
    }
    if (err < 0)
        say("streamed until", err);
    else
        torc_write(rq, "end", 3);
}

/* Waits for the end of its client, or for the drain. */
static void awaits(torc_req *rq, void *arg)
{
    (void)arg;
    say("awaits", 0);
    say("awaited", torc_await(rq, TORC_CLIENT_GONE | TORC_DRAINING));
    torc_reply(rq, 200, "text/plain", TORC_S("awaited"));
}

static void says(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", TORC_S("said"));
}

/* Has its client's end cancel it: at once, with a response begun, only once the client has gone, or
 * when its response is complete. */
static void leaves(torc_req *rq, void *arg)
{
    (void)arg;
    say("leaves", torc_cancel_when_gone(rq));
    say("woke with", torc_sleep(rq, FOREVER));
    say("replied", torc_reply(rq, 200, "text/plain", TORC_S("to nobody")));
}

static void leaves_stream(torc_req *rq, void *arg)
{
    torc_start(rq, 200, "text/plain", -1);
    leaves(rq, arg);
}

static void leaves_late(torc_req *rq, void *arg)
{
    (void)arg;
    say("leaves-late", 0);
    torc_await(rq, TORC_CLIENT_GONE);
    say("is cancelled", torc_cancel_when_gone(rq));
    say("woke with", torc_sleep(rq, FOREVER));
}

static void leaves_replied(torc_req *rq, void *arg)
{
    (void)arg;
    torc_cancel_when_gone(rq);
    torc_reply(rq, 200, "text/plain", TORC_S("complete"));
    say("leaves-replied", 0);
    torc_await(rq, TORC_CLIENT_GONE);
    say("slept", torc_sleep(rq, STEP));
}

static int sleep_long(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_sleep(rq, FOREVER);
}

static void late_group(torc_req *rq, void *arg)
{
    (void)arg;
    torc_group *g = torc_group_open(rq);
    torc_group_deadline(g, STEP);
    torc_spawn(g, sleep_long, NULL);
    say("joined with", torc_group_join(g));
    say("slept after", torc_sleep(rq, 1));
    torc_reply(rq, 200, "text/plain", TORC_S("in time"));
}

static void late(torc_req *rq, void *arg)
{
    (void)arg;
    torc_deadline(rq, STEP);
    say("woke with", torc_sleep(rq, FOREVER));
}

static void late_but_replies(torc_req *rq, void *arg)
{
    late(rq, arg);
    torc_reply(rq, 200, "text/plain", TORC_S("in time"));
}

static void late_in_a_stream(torc_req *rq, void *arg)
{
    torc_start(rq, 200, "text/plain", -1);
    torc_write(rq, "begun", 5);
    late(rq, arg);
    say("wrote", torc_write(rq, "more", 4));
}

/* Hold their core, by computing and by a call that blocks. */
static void spins(torc_req *rq, void *arg)
{
    struct timespec now, until;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 2;
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec < until.tv_sec || now.tv_nsec < until.tv_nsec);
    torc_replyf(rq, 200, "spun");
}

static void rests_and_spins(torc_req *rq, void *arg)
{
    const struct timespec rest = {1, 500000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
    spins(rq, arg);
}

static void blocks(torc_req *rq, void *arg)
{
    const struct timespec second = {.tv_sec = 1};
    (void)arg;
    /* No signal may end it. The call itself, as nanosleep(3) is not the same one everywhere. */
    say("slept", clock_nanosleep(CLOCK_MONOTONIC, 0, &second, NULL));
    torc_replyf(rq, 200, "slept");
}

/* The same as spins, while nobody reads stderr. */
static void spins_unread(torc_req *rq, void *arg)
{
    int before = unread_stderr();
    spins(rq, arg);
    dup2(before, STDERR_FILENO);
    close(before);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        torc_handler *fn;
    } routes[] = {{"/sleeps", sleeps},
                  {"/asks", asks},
                  {"/writes", writes},
                  {"/streams", streams},
                  {"/awaits", awaits},
                  {"/says", says},
                  {"/leaves", leaves},
                  {"/leaves-stream", leaves_stream},
                  {"/leaves-late", leaves_late},
                  {"/leaves-replied", leaves_replied},
                  {"/late", late},
                  {"/late-reply", late_but_replies},
                  {"/late-stream", late_in_a_stream},
                  {"/late-group", late_group},
                  {"/spins", spins},
                  {"/spins-unread", spins_unread},
                  {"/rests-and-spins", rests_and_spins},
                  {"/blocks", blocks}};
    torc_server *s = torc_server_new("asking 1.0");
    for (size_t i = 0; s && i < sizeof routes / sizeof *routes; i++)
        if (torc_route(s, "GET", routes[i].path, routes[i].fn, NULL) < 0) return 1;
    int status = s ? torc_server_main(s, argc, argv) : 1;
    torc_server_free(s);
    return status;
}
