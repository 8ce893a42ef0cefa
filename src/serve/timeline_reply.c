#include "base/json.h"
#include "serve/response_writer.h"
#include "serve/server_state.h"
#include "serve/timeline.h"

enum {
    MS_DEFAULT = 1000,
    MS_MAX = 60000,
    AT_ONCE = 2, /* so that one who does not read what he has asked for keeps nobody else from it */
};

/* False: it is no such number. */
static bool read_ms(torc_req *rq, uint64_t *ms)
{
    torc_slice text = torc_query_param(rq, "ms");
    *ms = MS_DEFAULT;
    return !text.ptr || (slice_u64(text, ms) && *ms >= 1 && *ms <= MS_MAX);
}

/* Each holds a copy of what a core has recorded for as long as its client takes to read. */
static void put_one(torc_req *rq, struct torc_server *s, uint64_t ms)
{
    struct response_writer w;
    struct json j = {response_writer_begin(&w, rq), false};
    if (torc_start(rq, 200, "application/json", -1) != 0) return;
    timeline_put(&j, &w, s, ms);
    writer_char(j.out, '\n');
    response_writer_flush(j.out);
}

void timeline_reply(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    uint64_t ms;
    if (!s->options->timeline) {
        torc_replyf(rq, 501, "nothing is recorded: start the server with --timeline N\n");
    } else if (!read_ms(rq, &ms)) {
        torc_replyf(rq, 400, "ms must be a number from 1 to %d\n", MS_MAX);
    } else if (s->n_timelines == AT_ONCE) {
        torc_set_header(rq, TORC_S("Retry-After"), TORC_S("1"));
        torc_replyf(rq, 503, "%d are being read already\n", AT_ONCE);
    } else {
        s->n_timelines++;
        put_one(rq, s, ms);
        s->n_timelines--;
    }
}
