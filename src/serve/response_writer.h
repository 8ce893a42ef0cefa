#pragma once
/* A writer to the body of a streamed response, which follows torc_start. */

#include "base/writer.h"
#include "torc.h"

struct response_writer {
    struct writer out;
    torc_req *rq;
    bool failed; /* nobody gets what is written from now on */
    char buf[4096];
};

/* What is written goes on to the response whenever the buffer is full, and with the flush. */
struct writer *response_writer_begin(struct response_writer *w, torc_req *rq);
void response_writer_flush(struct writer *out);
