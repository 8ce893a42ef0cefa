#pragma once
/* The replies of one connection: each is parsed, checked against what the plan expects, and
 * recorded. */

#include "client/response_parser.h"
#include "load/context.h"

struct receiver {
    struct response_parser parser;
    struct load_context *context;
    struct pipeline *pipeline;
    bool started;         /* the oldest request's reply has begun */
    bool close_announced; /* a reply said that the server closes after it */
    bool wrong_body;      /* of that reply, as `difference` says */
    struct body_difference difference;
};

enum receiver_result {
    RECEIVER_OK,
    RECEIVER_MALFORMED,   /* sampled, not recorded: no request in flight can be answered */
    RECEIVER_UNSOLICITED, /* recorded: bytes while no request was in flight */
};

void receiver_init(struct receiver *r, struct load_context *context, struct pipeline *pipeline);

/* For a new connection. */
void receiver_open(struct receiver *r);

/* Bytes that were received at `now` (ns). Completes the requests that they answer. */
enum receiver_result receiver_feed(struct receiver *r, slice in, uint64_t now);

/* The connection was closed (`err` 0) or reset (a positive errno): completes the reply that it ends
 * or cuts short, if any. */
void receiver_eof(struct receiver *r, uint64_t now, int err);

/* Takes the error sample of a connection that was lost, where requests are in flight. */
void receiver_sample_reset(struct receiver *r, int err);
