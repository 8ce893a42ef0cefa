/* The public header compiles as C and as C++ without any other header before it. */

#include <torc.h>

extern torc_handler handler;

void handler(torc_req *rq, void *arg)
{
    torc_slice text = TORC_S("text");
    (void)arg;
    torc_set_header(rq, TORC_S("X-Name"), text);
    torc_replyf(rq, 200, "%u", torc_core(rq));
}
