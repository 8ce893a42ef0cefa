/* Serves N requests for /plaintext on each of several in-memory keep-alive connections, for
 * callgrind to count the instructions (instructions.sh). Built four times: with COUNT_TIMING as
 * under --timing, with COUNT_TIMELINE as under --timeline, with COUNT_LAYERS behind three
 * middlewares. */

#include "base/recorder.h"
#include "http/middleware.h"
#include "http/observe.h"
#include "lab_core.h"

#include <stdio.h>

/* The engine in memory has no clock of its own; durations are to have few digits. */
#ifdef COUNT_TIMING
enum { TURNS = 1 };
#else
enum { TURNS = 1 << 20 };
#endif

#ifdef COUNT_TIMELINE
enum { RECORDS = 4096 };
#endif

enum { CONNS_MAX = 1024 };

/* The request that wrk sends. */
static const slice request = SLICE("GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");

#ifdef COUNT_LAYERS
/* The shortest there is. */
static void pass(torc_req *rq, void *arg)
{
    (void)arg;
    torc_next(rq);
}

static struct middleware *three_layers(void)
{
    struct middleware *m = middleware_new();
    const char *why;
    for (int i = 0; i < 3; i++) {
        int err = middleware_add(m, SLICE("/"), pass, NULL, &why);
        ASSERT(err == 0);
    }
    return m;
}
#endif

int main(int argc, char **argv)
{
    uint64_t n, conns = 1;
    if (argc < 2 || argc > 3 || !slice_u64(slice_str(argv[1]), &n) ||
        (argc == 3 && !slice_u64(slice_str(argv[2]), &conns)) || conns > CONNS_MAX) {
        fprintf(stderr, "usage: %s REQUESTS [CONNECTIONS]\n", argv[0]);
        return 2;
    }
    static struct lab_core rig;
    static struct mem_client *client[CONNS_MAX];
    struct recorder recorder = {0};
    struct middleware *around = NULL;
#ifdef COUNT_LAYERS
    around = three_layers();
#endif
    lab_core_open_around(&rig, around);
#ifdef COUNT_TIMING
    http_observe(&rig.http, true, &recorder);
#endif
#ifdef COUNT_TIMELINE
    int err = recorder_init(&recorder, RECORDS);
    ASSERT(err == 0);
    http_observe(&rig.http, false, &recorder);
#endif
    mem_configure(&rig.io, &(struct mem_config){.share = 1, .patience = NS_PER_S});
    for (uint64_t i = 0; i < conns; i++) {
        client[i] = mem_connect(&rig.io);
        mem_repeat(client[i], request.ptr, request.len, n);
        mem_push_end(client[i]);
    }
    while (!mem_run(&rig.io, TURNS)) rig.io.now = clock_ns();
    uint64_t served = rig.http.stats.requests;
    for (uint64_t i = 0; i < conns; i++) mem_free(&rig.io, client[i]);
    lab_core_close(&rig);
    middleware_free(around);
    recorder_free(&recorder);
    printf("%llu requests served\n", (unsigned long long)served);
    return served == n * conns ? 0 : 1;
}
