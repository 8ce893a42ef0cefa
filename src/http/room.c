/* What happens at the limit of connections. Nothing is kept in order for it while there is room, as
 * that would cost every request something: a bounded number of connections is looked at when one is
 * to be spared. */

#include "http/conn.h"
#include "http/h1.h"
#include "http/http.h"

enum { LOOK_MAX = 128 };

/* Shorter silence is no sign of anything: the bytes may be on their way. */
#define SILENCE_MIN         (100 * NS_PER_MS)
#define REQUEST_SILENCE_MIN NS_PER_S

/* Whether `c` can be spared rather than `best`, which may be NULL. */
static bool is_better(const struct conn_silence *s, const struct conn_silence *best)
{
    if (!best->kind || s->kind != best->kind) return s->kind > best->kind;
    return s->since < best->since;
}

/* The next look begins where this one ends. */
bool http_make_room(struct http_context *ctx)
{
    struct conn *found = NULL;
    struct conn_silence best = {CONN_BUSY, 0};
    uint32_t n = ctx->n_open < LOOK_MAX ? ctx->n_open : LOOK_MAX;
    for (; n > 0; n--) {
        struct list *l = list_pop(&ctx->open);
        list_push(&ctx->open, l);
        struct conn *c = container_of(l, struct conn, link);
        struct conn_silence s = conn_silence(c);
        uint64_t least = s.kind <= CONN_SILENT_IN_REQUEST ? REQUEST_SILENCE_MIN : SILENCE_MIN;
        if (s.kind == CONN_BUSY || s.since + least > ctx->io->now || !is_better(&s, &best))
            continue;
        found = c;
        best = s;
    }
    if (!found || !conn_evict(found)) return false;
    counter_add(&ctx->stats.evicted, 1);
    return true;
}

/* The client's method is not known, so there is no content. */
void http_refuse(struct http_context *ctx, int fd)
{
    static const char response[] =
        "HTTP/1.1 503 Service Unavailable\r\nServer: torc\r\n"
        "Retry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    counter_add(&ctx->stats.refused, 1);
    conn_open_refused(ctx, fd, &h1_protocol, slice_of(response, sizeof response - 1));
}
