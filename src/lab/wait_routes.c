/* Routes that wait. */

#include "lab.h"
#include "params.h"

#include <inttypes.h>
#include <string.h>

enum { DELAY_MAX = 60000 }; /* ms */

const char *page_origin;

/* Lets the pages of --allow-origin read the response, and when the browser sent the request. */
static void allow_page(torc_req *rq)
{
    if (!page_origin) return;
    torc_slice origin = {page_origin, strlen(page_origin)};
    torc_set_header(rq, TORC_S("Access-Control-Allow-Origin"), origin);
    torc_set_header(rq, TORC_S("Timing-Allow-Origin"), origin);
}

static void delay(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t ms;
    if (!param_number(rq, TORC_S("the delay"), torc_param(rq, "ms"), 0, DELAY_MAX, &ms)) return;
    if (torc_sleep(rq, (unsigned)ms) < 0) return;
    allow_page(rq);
    torc_replyf(rq, 200, "%" PRId64, ms);
}

const struct lab_route wait_routes[] = {
    {"GET", "/delay/:ms", delay},
    {0},
};
