#include "task/background.h"

#include <errno.h>

static void on_done(struct io *io, struct io_op *op, int res, bool more)
{
    struct io_call *call = container_of(op, struct io_call, op);
    struct background *b = container_of(call, struct background, call);
    (void)io, (void)more;
    b->result = res;
    b->done = true;
    if (b->awaited) wait_wake(&b->wait, res);
}

void background_start(struct background *b, struct scope *s, const struct io_call *c,
                      enum io_kind kind, bool needed)
{
    *b = (struct background){
        .wait.what = scope_call_name(kind), .call = *c, .scope = s, .needed = needed};
    b->call.op = (struct io_op){.fn = on_done};
    io_call_start(s->io, &b->call, kind);
}

static void cancel(struct wait *w)
{
    struct background *b = container_of(w, struct background, wait);
    io_cancel(b->scope->io, &b->call.op);
}

int background_finish(struct background *b)
{
    if (b->done) return b->result;
    if (b->scope->cancelled && !b->needed) io_cancel(b->scope->io, &b->call.op);
    b->awaited = true;
    return wait_park(b->scope, &b->wait, b->needed ? NULL : cancel);
}

int background_call(struct scope *s, const struct io_call *c, enum io_kind kind)
{
    struct background b;
    if (!s) return -EPERM;
    background_start(&b, s, c, kind, true);
    return background_finish(&b);
}
