#include "lab_core.h"

#include "http/http.h"
#include "lab_routes.h"
#include "serve/options.h"

static void on_accept(struct io *io, struct io_op *op, int res, bool more)
{
    (void)op;
    if (more) http_accept(&((struct lab_core *)io->user)->core, res);
}

static void on_turn_end(struct io *io)
{
    http_end_turn(&((struct lab_core *)io->user)->core, io->now);
}

void lab_core_open(struct lab_core *lab)
{
    struct option_set *set = options_new();
    ASSERT(set);
    const struct options *o = options_get(set);
    lab->limits = o->limits;
    lab->limits.max_body = LAB_CORE_MAX_BODY;
    lab->limits.max_conns = 4096;
    struct io_config config = o->io;
    int err = io_open(&lab->io, &mem_engine, &config);
    ASSERT(err == 0);
    options_free(set);
    lab->router = lab_routes();
    http_open(&lab->core, &lab->io, &lab->limits, lab->router, 0);
    lab->io.user = lab;
    lab->io.on_turn_end = on_turn_end;
    lab->accept = (struct io_accept){.op = {.fn = on_accept}};
    io_accept_start(&lab->io, &lab->accept);
}

const char *lab_core_left_behind(const struct lab_core *lab)
{
    const struct http_context *c = &lab->core;
    if (c->n_open || c->conns.out) return "a connection was left behind";
    if (c->exchanges.out) return "a request was left behind";
    if (c->fibers.out) return "a fiber was left behind";
    return c->small.out || c->large.out ? "output was left behind" : NULL;
}

void lab_core_close(struct lab_core *lab)
{
    io_cancel(&lab->io, &lab->accept.op);
    bool idle = mem_run(&lab->io, 1000);
    ASSERT(idle);
    http_close(&lab->core);
    io_close(&lab->io);
    router_free(lab->router);
}
