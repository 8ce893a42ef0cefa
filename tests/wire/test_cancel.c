/* Handlers that wait for everything there is, by chance, on the engine in memory: their client
 * resets its connection after any number of turns, and deadlines and failures of siblings come in
 * between. Whatever was begun ends once, nothing is left, and each error is one of those that are
 * documented. */

#include "lab_core.h"

#include "http/router.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 3000, TURNS_MAX = 3000, DEPTH = 3, STEPS = 6 };

static struct lab_core rig;
static uint64_t state; /* of the random numbers */
static torc_event *event;
static unsigned begun, ended;     /* functions of groups, and handlers */
static unsigned waits, cancelled; /* of all seeds */

/* xorshift64 */
static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state % n);
}

static void check(int64_t result)
{
    waits++;
    if (result >= 0) return;
    cancelled++;
    switch (result) {
    case -ECONNRESET:
    case -ETIME:
    case -ECANCELED:
    case -EBUSY: /* another fiber reads or writes */
    case -EPIPE: /* the body is incomplete */
    case -EIO:   /* failed by the test */
    case -EINVAL: return;
    default: fail_msg("error %d", (int)result);
    }
}

static int some_function(torc_req *rq, void *arg);

static void some_group(torc_req *rq, unsigned depth)
{
    torc_group *g = torc_group_open(rq);
    if (!g) return;
    if (below(3) == 0) torc_group_deadline(g, below(20));
    for (unsigned n = below(4); n > 0; n--)
        check(torc_spawn(g, some_function, (void *)(uintptr_t)(depth - 1)));
    if (below(4) > 0) check(torc_group_join(g)); /* else it is joined when the handler returns */
}

static void read_itself(torc_req *rq)
{
    torc_file *file;
    char buf[64];
    int err = torc_file_open(rq, "/proc/self/exe", &file);
    check(err);
    if (err < 0) return;
    check(torc_file_read(rq, file, buf, sizeof buf, 0));
    if (below(2)) torc_file_close(rq, file); /* else it is closed when the handler returns */
}

/* A large buffer may be received into. Nothing may be once the read has returned. */
static void read_some(torc_req *rq)
{
    size_t size = 1 + below(below(2) ? 100 : 40000);
    char *buf = malloc(size);
    assert_non_null(buf);
    check(torc_body_read(rq, buf, size));
    free(buf);
}

static void step(torc_req *rq, unsigned depth)
{
    static const char text[3000];
    uint64_t seen = torc_event_count(event);
    switch (below(9)) {
    case 0: check(torc_sleep(rq, below(10))); break;
    case 1: read_some(rq); break;
    case 2: check(torc_write(rq, text, sizeof text)); break;
    case 3: check(torc_event_wait(rq, event, &seen)); break;
    case 4: torc_event_signal(event); break;
    case 5:
        if (depth > 0) some_group(rq, depth);
        break;
    case 6: read_itself(rq); break;
    case 7: check(torc_await(rq, TORC_CLIENT_GONE)); break;
    default:
        if (below(4) == 0) check(torc_deadline(rq, below(30)));
    }
}

static int some_function(torc_req *rq, void *arg)
{
    unsigned depth = (unsigned)(uintptr_t)arg;
    begun++;
    for (unsigned n = below(STEPS); n > 0; n--) step(rq, depth);
    ended++;
    return below(5) == 0 ? -EIO : 0;
}

static void handler(torc_req *rq, void *arg)
{
    (void)arg;
    begun++;
    torc_start(rq, 200, NULL, -1);
    for (unsigned n = 1 + below(2 * STEPS); n > 0; n--) step(rq, DEPTH);
    ended++;
}

static void one(unsigned seed)
{
    static const char head[] = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n";
    static const char body[90 * 1000];
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    begun = ended = 0;
    mem_configure(&rig.io, &(struct mem_config){.late = below(2),
                                                .share = below(3),
                                                .pace = 500 * below(4),
                                                .patience = 5 * NS_PER_MS});
    struct mem_client *m = mem_connect(&rig.io);
    mem_push(m, head, sizeof head - 1);
    for (unsigned n = below(7); n > 0; n--) mem_push(m, body, 1 + below(sizeof body - 1));
    if (below(4) == 0) mem_push_end(m);
    mem_run(&rig.io, 1 + below(60));
    mem_reset(m);
    for (int i = 0; i < 3; i++) assert_true(mem_run(&rig.io, TURNS_MAX));
    assert_int_equal(begun, ended);
    assert_true(mem_closed(m));
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
}

static void cancelled_anywhere(void **unused)
{
    (void)unused;
    event = torc_event_new();
    assert_non_null(event);
    lab_core_open(&rig);
    rig.limits.max_body = 1 << 20;
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_PUT, SLICE("/"), handler, NULL, NULL), 0);
    router_freeze(router);
    rig.http.router = router;
    for (unsigned seed = 0; seed < SEEDS; seed++) one(seed);
    print_message("%u waits, of which %u failed\n", waits, cancelled);
    assert_true(waits > 5 * SEEDS && cancelled > SEEDS && cancelled < waits);
    lab_core_close(&rig);
    router_free(router);
    torc_event_free(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cancelled_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
