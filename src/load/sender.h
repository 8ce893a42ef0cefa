#pragma once
/* Puts the requests of a pipeline into sends. */

#include "load/pipeline.h"
#include "load/request.h"

struct sender {
    struct io_send send;
    char *filled; /* the requests with placeholders of the send in flight */
    size_t filled_cap;
};

/* Makes `send` of the requests to be sent, as many as it holds, each by its number in `requests`;
 * they are in flight from now on. False where memory lacks for a single one. */
bool sender_fill(struct sender *s, struct pipeline *p, const struct request *requests,
                 struct filler *filler);

void sender_free(struct sender *s);
