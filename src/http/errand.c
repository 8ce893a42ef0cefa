#include "http/errand.h"

#include "http/waiting.h"

/* ---- a request without a client ---- */

static ssize_t no_read(struct torc_req *rq, void *buf, size_t size)
{
    (void)rq, (void)buf, (void)size;
    return 0;
}

static int no_respond(struct torc_req *rq, slice body)
{
    (void)rq, (void)body;
    return -ENOTCONN;
}

static int no_write(struct torc_req *rq, const void *data, size_t size)
{
    (void)rq, (void)data, (void)size;
    return -ENOTCONN;
}

static int no_write_ref(struct torc_req *rq, slice bytes, const struct file_place *place)
{
    (void)rq, (void)bytes, (void)place;
    return -ENOTCONN;
}

static int no_write_file(struct torc_req *rq, int fd, uint64_t offset, uint64_t size)
{
    (void)rq, (void)fd, (void)offset, (void)size;
    return -ENOTCONN;
}

static int no_write_owned(struct torc_req *rq, slice body, struct body_owner owner)
{
    (void)rq, (void)body;
    body_release(owner);
    return -ENOTCONN;
}

static int no_interim(struct torc_req *rq, int status, slice lines)
{
    (void)rq, (void)status, (void)lines;
    return -ENOTCONN;
}

static int no_end(struct torc_req *rq)
{
    (void)rq;
    return -ENOTCONN;
}

static bool never(const struct torc_req *rq)
{
    (void)rq;
    return false;
}

static slice no_peer(const struct torc_req *rq)
{
    (void)rq;
    return (slice){0};
}

static void returned(struct torc_req *rq)
{
    (void)rq;
}

static const struct exchange_ops nobody = {
    .read = no_read,
    .respond = no_respond,
    .write = no_write,
    .write_file = no_write_file,
    .write_ref = no_write_ref,
    .write_owned = no_write_owned,
    .interim = no_interim,
    .end = no_end,
    .client_ended = never,
    .cancel = request_cancel,
    .peer = no_peer,
    .is_secure = never,
    .handler_returned = returned,
};

/* ---- running ---- */

static void run(void *arg)
{
    struct errand *e = arg;
    const struct route *route = e->rq.route;
    e->rq.scope.label = route;
    fiber_set_label(&e->rq.ctx->fibers, route);
    if (e->runs) counter_add(e->runs, 1);
    route->fn(&e->rq, route->arg);
    if (e->rq.groups) waiting_join_groups(&e->rq);
    request_release_all(&e->rq);
    request_end(&e->rq);
    e->running = false;
    e->done(e);
}

int errand_start(struct errand *e, struct http_context *ctx, const struct route *route)
{
    request_init(&e->rq, ctx, &nobody);
    e->rq.route = route;
    e->rq.scope.apart = true;
    e->running = true;
    int err = fiber_start_for(&ctx->fibers, run, e, &e->rq.scope);
    if (err == 0) return 0;
    request_end(&e->rq);
    e->running = false;
    return err;
}
