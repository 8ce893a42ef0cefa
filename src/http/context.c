#include "http/context.h"

#include "http/fields/date.h"

#include <string.h>
#include <time.h>

bool http_may_warn(struct http_context *ctx)
{
    if (ctx->warned && ctx->io->now - ctx->warned < 10 * NS_PER_S) return false;
    ctx->warned = ctx->io->now;
    return true;
}

void http_refresh_date(struct http_context *ctx)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    memcpy(ctx->head, HEAD_OK HEAD_DATE HEAD_TYPE, sizeof ctx->head);
    http_date_format(wall.tv_sec, ctx->head + HEAD_OK_LEN + HEAD_DATE_LEN - HTTP_DATE_LEN - 2);
    ctx->date_until = ctx->io->now + NS_PER_S - (uint64_t)wall.tv_nsec;
}
