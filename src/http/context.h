#pragma once
/* State shared by the connections of one core: pools, fibers, limits, counters, routes. Other cores
 * see nothing of it but the counters. */

#include "base/counter.h"
#include "base/list.h"
#include "base/recorder.h"
#include "base/slab.h"
#include "base/slice.h"
#include "http/clients.h"
#include "http/exchange.h"
#include "http/forwarded.h"
#include "http/head.h"
#include "http/lifetime.h"
#include "http/shed.h"
#include "http/warning.h"
#include "io/io.h"
#include "task/fiber.h"
#include "task/resolve.h"

#include <errno.h>

struct error_handler;
struct offload;
struct router;
struct static_core;
struct torc_req;

/* A core has its own, which only http_set_limits changes, between two turns. Durations in ns. */
struct http_limits {
    uint64_t header_timeout; /* from a head's first byte to its last, and for the very first byte */
    uint64_t idle_timeout;   /* for a connection between requests */
    uint64_t drain_timeout;  /* after which a drain is cut short, by who asked for it */
    uint64_t admit_timeout;  /* for a new connection to find room at max_conns */
    uint64_t body_timeout;   /* between two pieces of a body that a handler reads */
    uint64_t min_body_rate;  /* of a body that a handler reads, in bytes per second; 0: any */
    uint64_t body_grace;     /* that its client may take longer */
    uint64_t write_timeout;  /* for a send without progress */
    uint64_t min_read_rate;  /* of output that waits for its client, in bytes per second; 0: any */
    uint64_t read_grace;     /* by which the client may be late */
    uint64_t max_body;       /* bytes */
    struct head_limits head;
    uint64_t sendfile_from;       /* bytes of a static file sent by reference; 0: none is */
    size_t write_buffer;          /* unsent bytes at which a handler waits */
    size_t read_buffer;           /* unread bytes buffered for a handler */
    size_t buffer_memory;         /* bytes for what all connections have unread and unsent */
    size_t request_memory;        /* bytes for torc_alloc */
    bool body_memory;             /* torc_body_all has memory of its own, up to max_body */
    size_t stack_size;            /* bytes of a fiber's stack */
    uint32_t max_conns;           /* per core */
    uint32_t max_requests;        /* in progress per core */
    uint32_t queue;               /* requests that wait for fewer to be in progress */
    uint64_t queue_timeout;       /* for so long */
    uint32_t conns_per_client;    /* per core; 0: no limit */
    struct client_rate rate;      /* of a client's requests on a core */
    uint64_t connection_age;      /* after which a connection takes no further request; 0: none */
    uint32_t connection_requests; /* likewise; 0: no limit */
    struct proxies proxies;
    bool shed; /* requests, where the core has more than it can do (shed.h) */
};

/* Written by the core, read by other threads with counter_get. */
struct http_stats {
    uint64_t accepted, closed;
    uint64_t requests;     /* completed */
    uint64_t status[6];    /* complete responses, by class, from index 1 */
    uint64_t aborted[5];   /* requests without one, by enum http_end, from index 1 */
    uint64_t lost;         /* complete responses that were still queued when the connection ended */
    uint64_t bad_requests; /* rejected by the parser or for their framing */
    uint64_t timeouts[5];  /* enum http_timeout */
    uint64_t resets;       /* connections reset by the client */
    uint64_t vanished;     /* connections that the kernel gave up (sock_keepalive) */
    uint64_t evicted;      /* connections closed to make room for others */
    uint64_t refused;      /* connections for which there was no room */
    uint64_t bad_proxy;    /* connections without the header of a trusted proxy (proxy.h) */
    uint64_t refused_client;   /* likewise, as their client had enough */
    uint64_t queued;           /* requests that wait for their handler */
    uint64_t queued_total;     /* that have waited */
    uint64_t queue_timeouts;   /* of these, in vain: 503 */
    uint64_t queue_left;       /* of these, until their client left */
    uint64_t throttled;        /* requests whose client made too many: 429 */
    uint64_t retired_age;      /* connections that were too old for another request */
    uint64_t retired_requests; /* connections that had served enough of them */
    uint64_t shed;             /* requests that came when the core had too many: 503 */
    uint64_t shedding;         /* 1 while late requests are shed, else 0 */
    uint64_t shed_delay;       /* ns from which on one is late */
    uint64_t rejected;         /* 503 because no fiber or memory was available */
    uint64_t body_in, bytes_out;
    uint64_t started; /* started - requests is the number in progress */
    struct lifetime lifetime;
    uint64_t peak;        /* most requests in progress at once */
    uint64_t buffered;    /* bytes that http_buffered found at the end of the last turn */
    uint64_t over_memory; /* connections aborted because buffer_memory was used up */
    uint64_t ticks;       /* runs of what runs every so often */
    uint64_t
        ticks_missed; /* that did not begin, as the one before still ran or no fiber was free */

    uint64_t upstream_open;     /* connections of clients to other servers */
    uint64_t upstream_connects; /* of these, opened so far */
    uint64_t upstream_requests; /* sent to other servers, repeated ones included */
    uint64_t upstream_repeated; /* of these, sent once more */
    uint64_t upstream_waited;   /* requests that waited for a connection */
    uint64_t upstream_rejected; /* requests that failed because too many waited */
};

/* How a request ended. Each one that began, with the first byte of its head, is counted once: under
 * its status if it is done, else in http_stats.aborted. */
enum http_end {
    END_DONE,    /* its response is complete: queued, and sent if it is large (h1.c) */
    END_CLIENT,  /* the client closed or reset the connection before */
    END_TIMEOUT, /* the client took no data for write_timeout */
    END_SLOW,    /* the client took data at less than min_read_rate */
    END_SERVER,  /* the server gave up: it stops, lacks memory, or the body was not completed */
};

enum http_timeout {
    TIMEOUT_HEADER,
    TIMEOUT_IDLE,
    TIMEOUT_BODY,
    TIMEOUT_WRITE,
    TIMEOUT_READ_RATE,
};

/* The lines that most responses begin with; formatted once a second. */
#define HEAD_OK   "HTTP/1.1 200 OK\r\n"
#define HEAD_NAME "Server: torc\r\n"
#define HEAD_DATE HEAD_NAME "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define HEAD_TYPE "Content-Type: "

enum {
    HEAD_OK_LEN = sizeof HEAD_OK - 1,
    HEAD_NAME_LEN = sizeof HEAD_NAME - 1,
    HEAD_DATE_LEN = sizeof HEAD_DATE - 1,
    HEAD_TYPE_LEN = sizeof HEAD_TYPE - 1,
};

enum { HTTP_REFUSED_MAX = 16 };
enum { TIMING_LINE = 192, TIMING_CORE = 32 }; /* bytes of a Server-Timing line, and of its end */

/* Calls on files that may wait for a disk; see off_core.h. */
struct off_core {
    uint32_t busy, most; /* under way, and at most */
    struct list waiting; /* who needs another, in order */
};

struct http_context {
    struct io *io;
    const struct http_limits *limits;
    const struct router *router;
    struct fiber_pool fibers;
    struct slab conns, exchanges;
    struct slab small, whole, pieces; /* chunks of output; large ones by their use */
    struct list open;                 /* all connections */
    struct clients clients;
    struct list queue; /* struct h1_exchange: requests that wait for their handler, in order */
    uint32_t n_queued;
    uint32_t n_open;
    struct conn *refused[HTTP_REFUSED_MAX]; /* those that were refused, the first one first */
    uint32_t n_refused;
    uint64_t probe_pause;    /* ns: conn_probe_pause of `limits` */
    uint64_t looked_at;      /* ns: when one to spare was last searched, see room.c */
    uint64_t watched_at;     /* ns: when http_watch last asked */
    size_t spilled;          /* bytes of all spill buffers, and of incomplete heads */
    size_t owned;            /* bytes of bodies that send queues own */
    unsigned index;          /* index of the core */
    bool draining;           /* responses close their connection */
    bool is_short;           /* http_is_short was true at the end of the last turn */
    uint32_t begin_below;    /* a request begins where fewer bytes of its connection are unsent */
    struct wheel_timer hold; /* armed while none begins (memory.h) */
    uint64_t enforced_at;    /* ns: when memory.c last looked for what to close */
    uint64_t date_until;  /* io time until which `head` is current; 0 where it has another name */
    uint64_t named_until; /* then, that of the date in it */
    slice server_line;    /* in place of that in `head`, perhaps empty; absent: that one */
    char head[HEAD_OK_LEN + HEAD_DATE_LEN + HEAD_TYPE_LEN]; /* from the status line of a 200 on */
    char host[64]; /* the last valid Host: the clients of a core name few different ones */
    uint8_t host_len;
    struct http_stats stats;
    /* What requests and connections run, or what stands in front of it (observe.h). */
    const struct exchange_ops *exchange;
    fiber_fn *run, *run_late; /* the latter of requests that have waited for their handler */
    io_fn *on_sent;
    struct exchange_ops observed_exchange, noted_exchange;
    struct recorder recorder;      /* without records where none is asked for */
    struct record *not_recorded;   /* in place of a connection's; NULL where none is asked for */
    bool timing;                   /* responses carry Server-Timing */
    char timing_line[TIMING_LINE]; /* of the one that is given, */
    char timing_core[TIMING_CORE]; /* and the end of all */
    uint8_t timing_core_len;
    /* Called when a request is about to end; may be NULL. `peer` is NULL if the client's address is
     * not known. `bytes` of the response body were sent. */
    void (*on_request_done)(struct http_context *ctx, const struct torc_req *rq, const char *peer,
                            uint64_t bytes, enum http_end end);
    void (*on_close)(struct http_context *ctx, bool evicted); /* a connection was closed */
    bool want_peer;          /* keep each client's address (visitor.h) */
    struct offload *pool;    /* of threads for work; NULL for none */
    struct offload *openers; /* of threads that open files; likewise */
    struct off_core off_core;
    struct resolver resolver;
    struct tick *ticks; /* what runs every so often */
    uint32_t n_ticks;
    uint64_t first_until;         /* ns; in a drain: for first requests, see conn_drain_until */
    uint64_t ended;               /* requests that ended in this turn */
    uint64_t arrivals;            /* sum of the arrival times of all that have started */
    struct static_core *files;    /* for src/files; NULL where no files are served */
    void *user;                   /* for the core */
    void *core_data;              /* the program's, see torc_core_set */
    struct exit_hook *exit_hooks; /* run on the core's thread when it ends */
    struct warnings warnings;
    struct shed shed;
    const struct error_handler *error_handlers; /* NULL: torc responds by itself */
    struct list error_calls;                    /* of these, under way */
};

/* A component that keeps resources on a core, such as open files, adds one exit hook to release
 * them. */
struct exit_hook {
    struct exit_hook *next;
    /* Ends what is in flight; true once nothing is. Called until then, after the last request. NULL
     * where nothing ever is. */
    bool (*stop)(struct exit_hook *e);
    void (*fn)(struct exit_hook *e);
};

static inline void http_add_exit_hook(struct http_context *ctx, struct exit_hook *e)
{
    e->next = ctx->exit_hooks;
    ctx->exit_hooks = e;
}

/* See warning.h. The text is cut at 511 bytes. */
void http_warn(struct http_context *ctx, enum http_warning cause, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Counts a connection that failed, if it is `open`: its client reset it, or has vanished. What the
 * system refuses is told instead. False if the client is who failed, and not the server. */
bool http_note_failure(struct http_context *ctx, bool open, const char *doing, int err);

/* Counts a request as in progress. */
static inline void http_count_begin(struct http_context *ctx, uint64_t arrived)
{
    counter_add(&ctx->stats.started, 1);
    ctx->arrivals += arrived;
}

/* Counts a request as completed. It is in progress until the end of the turn, when its response is
 * sent. */
static inline void http_count_end(struct http_context *ctx)
{
    ctx->ended++;
}

/* Bytes of memory for unread input and unsent output. */
static inline size_t http_buffered(const struct http_context *ctx)
{
    return slab_bytes(&ctx->small) + slab_bytes(&ctx->whole) + slab_bytes(&ctx->pieces) +
           ctx->spilled + ctx->owned + ctx->io->kept;
}

/* How long, from the begin of a drain on, connections may wait for their first request. ns. The
 * rest of the drain is there to serve it. */
static inline uint64_t http_first_wait(const struct http_limits *l)
{
    return l->drain_timeout / 2 < NS_PER_S ? l->drain_timeout / 2 : NS_PER_S;
}

/* Whether half of buffer_memory is used: connections get little. In one turn many may write, so who
 * adds output looks now and not at is_short. */
static inline bool http_is_short(const struct http_context *ctx)
{
    return http_buffered(ctx) > ctx->limits->buffer_memory / 2;
}

/* Has those go on that waited for fewer requests to be in progress. */
void http_wake_queue(struct http_context *ctx);

/* Called at the end of each turn; `now` in ns. */
static inline void http_end_turn(struct http_context *ctx, uint64_t now)
{
    struct http_stats *s = &ctx->stats;
    if (s->started - s->requests > s->peak) counter_set(&s->peak, s->started - s->requests);
    counter_add(&s->requests, ctx->ended);
    lifetime_publish(&s->lifetime, s->started, s->requests, ctx->arrivals, ctx->ended * now);
    ctx->ended = 0;
    counter_set(&s->buffered, http_buffered(ctx));
    if (UNLIKELY(ctx->n_queued)) http_wake_queue(ctx);
    ctx->is_short = ctx->io->keep_less = s->buffered > ctx->limits->buffer_memory / 2;
}

/* Whether the responses that were given as a whole, and are large, take all the memory for output.
 */
static inline bool http_exceeds(const struct http_context *ctx)
{
    return slab_bytes(&ctx->whole) + ctx->owned > ctx->limits->buffer_memory;
}

/* No request begins for now; ctx->hold ends that (memory.h). */
static inline void http_hold(struct http_context *ctx)
{
    if (ctx->begin_below == 0) return;
    ctx->begin_below = 0;
    wheel_set(&ctx->io->wheel, &ctx->hold, ctx->io->now);
}

void http_refresh_date(struct http_context *ctx);

/* Whether ctx->head, with its date and its name, is what responses begin with. */
static inline bool http_head_is_current(const struct http_context *ctx)
{
    return LIKELY(ctx->io->now < ctx->date_until);
}

/* The Server field of a context with a name of its own, or none. */
static inline slice http_server_line(const struct http_context *ctx)
{
    return ctx->server_line.ptr ? ctx->server_line : SLICE(HEAD_NAME);
}

/* "Date: ...", for a context with a name of its own. */
static inline slice http_date_line(struct http_context *ctx)
{
    if (ctx->io->now >= ctx->named_until) http_refresh_date(ctx);
    return slice_of(ctx->head + HEAD_OK_LEN + HEAD_NAME_LEN, HEAD_DATE_LEN - HEAD_NAME_LEN);
}
