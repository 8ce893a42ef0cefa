#pragma once
/* The account of a request that ends: its counters, and its line in the access log. Each request is
 * accounted for once. */

#include "http/h1_exchange.h"

/* Calls on_request_done. */
void h1_account_report(const struct h1_exchange *x, enum http_end end);

/* Whether all of its response was sent. */
bool h1_response_sent(const struct h1_exchange *x);

/* Of a request whose connection goes on. */
static inline void h1_account(const struct h1_exchange *x, enum http_end end)
{
    struct http_context *ctx = x->conn->ctx;
    int status = x->rq.response.status;
    if (LIKELY(end == END_DONE))
        counter_add(&ctx->stats.status[LIKELY(status == 200) ? 2 : status / 100], 1);
    else
        counter_add(&ctx->stats.aborted[end], 1);
    if (ctx->on_request_done) h1_account_report(x, end);
}

/* Of a request that ends with its connection. It is done if all of its response was sent before. */
void h1_account_abort(struct h1_exchange *x);
