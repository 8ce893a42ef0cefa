/* Connections that a handler opens, and descriptors that it waits for. */

#include "http/request.h"
#include "task/dial.h"

#include <errno.h>
#include <stdlib.h>

struct torc_stream {
    struct request_resource held;
    struct stream *stream;
};

static void release(struct request_resource *r)
{
    struct torc_stream *s = container_of(r, struct torc_stream, held);
    list_unlink(&r->link);
    stream_close(s->stream);
    free(s);
}

int torc_connect(torc_req *rq, const char *to, torc_stream **stream)
{
    struct torc_stream *s = malloc(sizeof *s);
    *stream = NULL;
    if (!s) return -ENOMEM;
    int err = dial(request_scope(rq), &rq->ctx->resolver, to, &s->stream);
    if (err < 0) {
        free(s);
        return err;
    }
    request_hold(rq, &s->held, release);
    *stream = s;
    return 0;
}

ssize_t torc_stream_read(torc_req *rq, torc_stream *s, void *buf, size_t size)
{
    return stream_read(request_scope(rq), s->stream, buf, size);
}

int torc_stream_write(torc_req *rq, torc_stream *s, const void *data, size_t size)
{
    return stream_write(request_scope(rq), s->stream, data, size);
}

int torc_stream_shutdown(torc_req *rq, torc_stream *s)
{
    return stream_shutdown(request_scope(rq), s->stream);
}

void torc_stream_close(torc_stream *s)
{
    release(&s->held);
}

int torc_poll(torc_req *rq, int fd, int events)
{
    if (events & ~UINT16_MAX) return -EINVAL;
    struct io_call call = {.poll = {.fd = fd, .events = (short)events, .at_once = true}};
    return scope_call(request_scope(rq), &call, IO_POLL);
}
