/* Routes that wait. */

#include "lab.h"
#include "params.h"

#include <inttypes.h>

enum { DELAY_MAX = 60000 }; /* ms */

static void delay(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t ms;
    if (!param_number(rq, TORC_S("the delay"), torc_param(rq, "ms"), 0, DELAY_MAX, &ms)) return;
    if (torc_sleep(rq, (unsigned)ms) < 0) return;
    torc_replyf(rq, 200, "%" PRId64, ms);
}

const struct lab_route wait_routes[] = {
    {"GET", "/delay/:ms", delay},
    {0},
};
