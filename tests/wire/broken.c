#include "broken.h"

#include "http/http.h"

enum { TURNS = 2000000 };

/* Longer than every deadline. */
#define LONG (1000 * NS_PER_S)

const char *const broken_names[BROKEN_EVENTS] = {
    [BROKEN_END] = "the client sends no more",   [BROKEN_RESET] = "the client resets",
    [BROKEN_STALL] = "the client reads no more", [BROKEN_DRAIN] = "the server drains",
    [BROKEN_ABORT] = "the server aborts",
};

static void trigger(struct lab_core *r, struct mem_client *m, enum broken_event e)
{
    switch (e) {
    case BROKEN_END:
    case BROKEN_EVENTS: break; /* no event: the whole input is sent */
    case BROKEN_RESET: mem_reset(m); break;
    case BROKEN_STALL: mem_set_window(m, 0); break;
    case BROKEN_DRAIN: http_drain(&r->http); break;
    case BROKEN_ABORT: http_abort(&r->http); break;
    }
}

static void push_split(struct mem_client *m, slice s, struct split *split)
{
    for (size_t at = 0, n; at < s.len; at += n) {
        n = split_next(split, at, s.len);
        mem_push(m, s.ptr + at, n);
    }
}

const char *broken_run(struct lab_core *r, slice in, struct broken how, struct bytes *out)
{
    size_t n;
    const char *problem = NULL;
    how.mem.patience = NS_PER_S; /* no deadline passes before the client has sent everything */
    mem_configure(&r->io, &how.mem);
    struct mem_client *m = mem_connect(&r->io);
    push_split(m, slice_of(in.ptr, how.at), &how.split);
    mem_run(&r->io, how.turns);
    trigger(r, m, how.event);
    push_split(m, slice_skip(in, how.at), &how.split);
    mem_push_end(m);
    mem_run(&r->io, TURNS);
    how.mem.patience = LONG;
    mem_configure(&r->io, &how.mem);
    if (!mem_run(&r->io, TURNS)) problem = "the server is busy without end";
    if (!mem_closed(m)) {
        problem = "the connection outlives its client";
        mem_reset(m);
        mem_run(&r->io, TURNS);
    }
    const char *raw = mem_out(m, &n);
    bytes_add(out, slice_of(raw, n));
    mem_free(&r->io, m);
    r->http.draining = false;
    return problem ? problem : lab_core_leak(r);
}
