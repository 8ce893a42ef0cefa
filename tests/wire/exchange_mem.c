#include "exchange.h"

enum { TURNS = 1000000 };

/* The engine's freedoms, drawn from the split: with the first two it is at its plainest. */
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

static void run(struct lab_core *lab, struct outcome *o)
{
    if (!mem_run(&lab->io, TURNS)) o->odd = "the server is busy without end";
}

static void take_out(struct mem_client *m, struct outcome *o)
{
    size_t n;
    const char *out = mem_out(m, &n);
    o->raw.len = 0;
    bytes_add(&o->raw, slice_of(out, n));
}

void exchange_mem(struct lab_core *lab, const struct wire_case *c, struct split split,
                  struct outcome *o)
{
    struct mem_config config = choose(c, &split);
    bool half_closed = false;
    *o = (struct outcome){0};
    mem_configure(&lab->io, &config);
    struct mem_client *m = mem_connect(&lab->io);
    for (unsigned i = 0; i < c->n_steps; i++) {
        const struct step *s = &c->step[i];
        if (s->kind == STEP_IN) push_split(m, bytes_slice(&s->bytes), &split);
        if (s->kind == STEP_OUT) run(lab, o);
        if (s->kind == STEP_HALF_CLOSE) {
            mem_push_end(m);
            half_closed = true;
        }
    }
    run(lab, o);
    if (c->open && !mem_ended(m)) {
        push_split(m, probe_in, &split);
        run(lab, o);
    }
    o->closed = mem_ended(m);
    /* RFC 9112, 9.6: from a kernel this would be a reset, and could destroy the answer on its
     * way. */
    if (mem_closed(m) && mem_waiting(m) && !c->loose_reset)
        o->odd = "the server closed on bytes that were on their way";
    if (!half_closed) mem_push_end(m);
    run(lab, o);
    take_out(m, o);
    if (!mem_closed(m)) {
        o->odd = "the connection outlives both its sides";
        mem_reset(m);
        run(lab, o);
    }
    mem_free(&lab->io, m);
    if (!o->odd) o->odd = lab_core_left_behind(lab);
}
