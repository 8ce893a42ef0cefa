#pragma once
/* What the connections of one core share: pools, fibers, limits, counters, the routes. Nothing here
 * is seen by another core, but for the counters, which others may read. */

#include "base/counter.h"
#include "base/list.h"
#include "base/slab.h"
#include "base/slice.h"
#include "io/io.h"
#include "task/fiber.h"

struct router;
struct torc_req;

/* Set once before the cores start; read-only after. Durations in ns. */
struct http_limits {
    uint64_t header_timeout; /* from a head's first byte to its last */
    uint64_t idle_timeout;   /* of a connection between requests */
    uint64_t body_timeout;   /* between two pieces of a body that is waited for */
    uint64_t write_timeout;  /* for a send in which nothing moves */
    uint64_t max_body;       /* bytes */
    size_t write_buffer;     /* bytes of unsent output at which a handler waits */
    size_t read_buffer;      /* bytes kept for a handler that does not read yet */
    size_t request_memory;   /* bytes that torc_alloc and torc_body_all may take */
    size_t stack_size;       /* bytes of a fiber */
    uint32_t max_conns;      /* of a core */
    uint32_t max_requests;   /* in progress on a core */
};

/* One writer, its core; read elsewhere relaxed. */
struct http_stats {
    uint64_t accepted, closed;
    uint64_t requests;     /* answered */
    uint64_t status[6];    /* by hundreds, from index 1 */
    uint64_t bad_requests; /* refused by the parser or for their framing */
    uint64_t timeouts[4];  /* enum http_timeout */
    uint64_t resets;       /* connections that the client broke off */
    uint64_t rejected;     /* 503 for want of a fiber or of memory */
    uint64_t body_in, bytes_out;
    uint64_t started;     /* requests begun: started - requests are in progress */
    uint64_t progress_ns; /* sum of the time that finished requests were in progress */
    uint64_t peak;        /* most requests in progress at once */
};

enum http_timeout { TIMEOUT_HEADER, TIMEOUT_IDLE, TIMEOUT_BODY, TIMEOUT_WRITE };

/* The lines that most responses begin with, made once a second. */
#define HEAD_OK   "HTTP/1.1 200 OK\r\n"
#define HEAD_DATE "Server: torc\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define HEAD_TYPE "Content-Type: "

enum {
    HEAD_OK_LEN = sizeof HEAD_OK - 1,
    HEAD_DATE_LEN = sizeof HEAD_DATE - 1,
    HEAD_TYPE_LEN = sizeof HEAD_TYPE - 1,
};

struct http_context {
    struct io *io;
    const struct http_limits *limits;
    const struct router *router;
    struct fiber_pool fibers;
    struct slab conns, exchanges, small, large; /* small and large are chunks of output */
    struct list open;                           /* every connection */
    uint32_t n_open;
    unsigned index;      /* of the core */
    bool draining;       /* answers close their connection */
    uint64_t date_until; /* io time until which the date is right */
    char head[HEAD_OK_LEN + HEAD_DATE_LEN + HEAD_TYPE_LEN]; /* from the status line of 200 on */
    char host[64]; /* the last Host that was found valid: clients of a core name few */
    uint8_t host_len;
    struct http_stats stats;
    /* Called when a request has had its response, if set; it is about to end. `peer` is NULL where
     * the client's address is not known. */
    void (*on_request_done)(struct http_context *ctx, const struct torc_req *rq, const char *peer);
    void (*on_close)(struct http_context *ctx); /* a connection is gone */
    bool want_peer;                             /* connections note their client's address */
    uint64_t ended; /* requests that ended in this turn, and the sum of their arrivals */
    uint64_t ended_arrivals;
    void *user;                   /* the core's */
    struct exit_hook *exit_hooks; /* what is to be done on the core's thread at its end */
    uint64_t warned;              /* io time of the last warning that clients can bring about */
};

/* What keeps things on a core, open files for one, adds itself once. */
struct exit_hook {
    struct exit_hook *next;
    void (*fn)(struct exit_hook *e);
};

static inline void http_add_exit_hook(struct http_context *ctx, struct exit_hook *e)
{
    e->next = ctx->exit_hooks;
    ctx->exit_hooks = e;
}

/* Whether such a warning may be written now: one in ten seconds, so that nobody floods the log. */
bool http_may_warn(struct http_context *ctx);

/* A request counts as in progress up to the end of the turn that answers it, when its bytes
 * leave. */
static inline void http_count_end(struct http_context *ctx, uint64_t arrived)
{
    ctx->ended++;
    ctx->ended_arrivals += arrived;
}

/* The turn ends at `now`, ns. */
static inline void http_end_turn(struct http_context *ctx, uint64_t now)
{
    struct http_stats *s = &ctx->stats;
    if (s->started - s->requests > s->peak) counter_set(&s->peak, s->started - s->requests);
    counter_add(&s->requests, ctx->ended);
    counter_add(&s->progress_ns, ctx->ended * now - ctx->ended_arrivals);
    ctx->ended = ctx->ended_arrivals = 0;
}

void http_refresh_date(struct http_context *ctx);

/* ctx->head, with the date of now. */
static inline const char *http_head(struct http_context *ctx)
{
    if (UNLIKELY(ctx->io->now >= ctx->date_until)) http_refresh_date(ctx);
    return ctx->head;
}
