#include "serve/response_writer.h"

void response_writer_flush(struct writer *out)
{
    struct response_writer *w = container_of(out, struct response_writer, out);
    w->failed |= torc_write(w->rq, w->buf, (size_t)(out->at - w->buf)) < 0;
    out->at = w->buf;
}

struct writer *response_writer_begin(struct response_writer *w, torc_req *rq)
{
    w->rq = rq;
    w->failed = false;
    w->out = (struct writer){w->buf, w->buf + sizeof w->buf, response_writer_flush};
    return &w->out;
}
