#include "load/record.h"

#include "base/assert.h"
#include "base/wake.h"

#include <stdlib.h>
#include <unistd.h>

const char *const load_error_names[LOAD_ERRORS] = {
    [ERROR_CONNECT] = "connect", [ERROR_RESET] = "reset",     [ERROR_TIMEOUT] = "timeout",
    [ERROR_STATUS] = "status",   [ERROR_FRAMING] = "framing", [ERROR_BODY] = "body",
};

bool record_init(struct record *r, const struct plan *plan, uint64_t share, int completed_fd)
{
    *r = (struct record){
        .plan = plan,
        .corrected = calloc(1, sizeof *r->corrected),
        .raw = calloc(1, sizeof *r->raw),
        .share = share,
        .completed_fd = completed_fd,
    };
    return r->corrected && r->raw;
}

void record_free(struct record *r)
{
    free(r->corrected);
    free(r->raw);
}

bool record_measures(const struct record *r, bool counted)
{
    return record_counts_all(r) ? r->phase == PHASE_MEASURE : counted;
}

void record_status(struct record *r, const struct pending *p, uint16_t status)
{
    if (status < 200) return;                     /* that of an interim response */
    ASSERT(status < ARRAY_LEN(r->counts.status)); /* three digits (RFC 9110, 15) */
    if (record_measures(r, p->counted)) counter_add(&r->counts.status[status], 1);
}

static void complete(struct record *r)
{
    counter_add(&r->counts.completed, 1);
    if (!r->plan->count || r->counts.completed != r->share) return;
    r->completed_at = clock_ns();
    wake_by(r->completed_fd);
}

void record_good(struct record *r, const struct pending *p, uint64_t now)
{
    counter_add(&r->counts.total, 1);
    if (r->phase == PHASE_MEASURE) counter_add(&r->counts.answered, 1);
    if (record_measures(r, p->counted)) {
        counter_add(&r->counts.replies, 1);
        histogram_add(r->raw, now - p->sent);
        if (record_open_loop(r))
            histogram_add(r->corrected, now > p->intended ? now - p->intended : 0);
    }
    if (p->counted) complete(r);
}

void record_error(struct record *r, enum load_error kind, const struct pending *p)
{
    bool measured = p ? record_measures(r, p->counted) : r->phase == PHASE_MEASURE;
    counter_add(&r->counts.errors[kind], 1);
    if (measured) counter_add(&r->counts.errors_measured[kind], 1);
    if (p && p->counted) complete(r);
}
