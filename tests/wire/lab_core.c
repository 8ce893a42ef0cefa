#include "lab_core.h"

#include "http/http.h"
#include "lab_routes.h"
#include "serve/options.h"

static void on_accept(struct io *io, struct io_op *op, int res, bool more)
{
    (void)op;
    if (more) http_accept(&((struct lab_core *)io->user)->http, res);
}

static void on_turn_end(struct io *io)
{
    http_end_turn(&((struct lab_core *)io->user)->http, io->now);
}

void lab_core_open_around(struct lab_core *r, struct middleware *around)
{
    struct option_set *set = options_new();
    ASSERT(set);
    const struct options *o = options_get(set);
    r->limits = o->limits;
    r->limits.max_body = LAB_CORE_MAX_BODY;
    r->limits.max_conns = 4096;
    struct io_config config = o->io;
    int err = io_open(&r->io, &mem_engine, &config);
    ASSERT(err == 0);
    options_free(set);
    r->router = lab_routes(around);
    http_open(&r->http, &r->io, &r->limits, r->router, 0);
    r->io.user = r;
    r->io.on_turn_end = on_turn_end;
    r->accept = (struct io_accept){.op = {.fn = on_accept}};
    io_accept_start(&r->io, &r->accept);
}

const char *lab_core_leak(const struct lab_core *r)
{
    const struct http_context *c = &r->http;
    uint64_t accounted = 0;
    for (int i = 0; i < 6; i++) accounted += c->stats.status[i];
    for (size_t i = 0; i < ARRAY_LEN(c->stats.aborted); i++) accounted += c->stats.aborted[i];
    /* Those whose head was not complete are not counted as started. */
    if (accounted < c->stats.started) return "a request was not accounted for";
    if (c->n_open || c->conns.in_use) return "a connection was left behind";
    if (c->exchanges.in_use) return "a request was left behind";
    if (c->fibers.in_use) return "a fiber was left behind";
    return c->small.in_use || c->whole.in_use || c->pieces.in_use ? "output was left behind" : NULL;
}

void lab_core_close(struct lab_core *r)
{
    io_cancel(&r->io, &r->accept.op);
    bool idle = mem_run(&r->io, 1000);
    ASSERT(idle);
    http_close(&r->http);
    io_close(&r->io);
    router_free(r->router);
}
