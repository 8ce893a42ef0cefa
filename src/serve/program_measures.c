/* The measures for the program: torc_server_measures. */

#include "serve/server_state.h"

#include <errno.h>

static double seconds(uint64_t ns)
{
    return (double)ns / NS_PER_S;
}

int torc_server_measures(const torc_server *s, torc_measures *out)
{
    int phase = s->phase;
    if (phase < SERVER_TESTED || phase > SERVER_DRAINING) return -ESHUTDOWN;
    uint64_t wall;
    struct measured sum = measures_now(&s->measures, &wall);
    *out = (torc_measures){
        .wall = seconds(wall),
        .lifetime = seconds(sum.lifetime),
        .on_core = seconds(sum.on_core),
        .held = seconds(sum.held),
        .cores = s->n_cores,
        .engine = io_engine_name(s->engine),
    };
    return 0;
}
