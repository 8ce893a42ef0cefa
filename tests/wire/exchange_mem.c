#include "exchange.h"

enum { TURNS = 1000000 };

/* Chooses the engine's behaviour from the split; the first two splits use the defaults. */
static struct mem_config choose(const struct wire_case *c, struct split *s)
{
    static const uint32_t share[] = {0, 1, 3};
    static const size_t pace[] = {0, 1, 7, 100, 5000};
    struct mem_config m = {.patience = NS_PER_S};
    if (s->kind == SPLIT_BYTES) m.share = 1;
    if (s->kind != SPLIT_RANDOM) return m;
    m.share = share[split_random(s) % ARRAY_LEN(share)];
    m.pace = pace[split_random(s) % ARRAY_LEN(pace)];
    m.late = split_random(s) % 2;
    if (c->out.len > 10000 && m.pace && m.pace < 1000) m.pace *= 1000;
    return m;
}

static void push_split(struct mem_client *m, slice s, struct split *split)
{
    for (size_t at = 0, n; at < s.len; at += n) {
        n = split_next(split, at, s.len);
        mem_push(m, s.ptr + at, n);
    }
}

static void run(struct lab_core *r, struct outcome *o)
{
    if (!mem_run(&r->io, TURNS)) o->problem = "the server is busy without end";
}

static void take_out(struct mem_client *m, struct outcome *o)
{
    size_t n;
    const char *out = mem_out(m, &n);
    o->raw.len = 0;
    bytes_add(&o->raw, slice_of(out, n));
}

void exchange_mem(struct lab_core *r, const struct wire_case *c, struct split split,
                  struct outcome *o)
{
    struct mem_config config = choose(c, &split);
    bool half_closed = false;
    *o = (struct outcome){0};
    mem_configure(&r->io, &config);
    struct mem_client *m = mem_connect(&r->io);
    for (unsigned i = 0; i < c->n_steps; i++) {
        const struct step *s = &c->step[i];
        if (s->kind == STEP_IN) push_split(m, bytes_slice(&s->bytes), &split);
        if (s->kind == STEP_OUT) run(r, o);
        if (s->kind == STEP_HALF_CLOSE) {
            mem_push_end(m);
            half_closed = true;
        }
    }
    run(r, o);
    if (c->open && !mem_ended(m)) {
        push_split(m, probe_in, &split);
        run(r, o);
    }
    o->closed = mem_ended(m);
    /* RFC 9112, 9.6: a kernel would send a reset here, which could destroy the response on its
     * way. */
    if (mem_closed(m) && mem_waiting(m) && !c->loose_reset)
        o->problem = "the server closed on bytes that were on their way";
    if (!half_closed) mem_push_end(m);
    run(r, o);
    take_out(m, o);
    if (!mem_closed(m)) {
        o->problem = "the connection outlives both its sides";
        mem_reset(m);
        run(r, o);
    }
    mem_free(&r->io, m);
    if (!o->problem) o->problem = lab_core_leak(r);
}
