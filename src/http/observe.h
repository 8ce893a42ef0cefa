#pragma once
/* Looks where requests spend their time, for --timing and --timeline: when their head has come,
 * when their handler starts, when it is suspended and resumed, when it responds and when the bytes
 * have left. Where neither is on, no request comes through here. */

#include "http/context.h"

struct torc_req;

/* Once the context is open, before its first connection. The context takes a copy of `recorder`,
 * which may be without records; its owner frees them, after the context is closed. */
void http_observe(struct http_context *ctx, bool timing, const struct recorder *recorder);

static inline bool http_observes(const struct http_context *ctx)
{
    return ctx->timing || ctx->recorder.records;
}

/* A request whose head is complete has to wait for its handler. Only where
 * http_observes. */
void observe_queued(struct torc_req *rq);

/* A request without a handler has its response. Likewise. */
void observe_unserved(struct torc_req *rq);

/* The request, whose handler runs, calls another server as span `span` of its trace. Only with a
 * recorder. */
void observe_call(struct torc_req *rq, uint64_t span);
