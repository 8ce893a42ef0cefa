#include "http/context.h"

#include "http/fields/date.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void http_warn(struct http_context *ctx, enum http_warning cause, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    warnings_add(&ctx->warnings, cause, text, ctx->io->now);
}

static bool is_refused(int err)
{
    return err == -ENOMEM || err == -ENOBUFS || err == -EPERM || err == -EACCES || err == -ENOSYS;
}

/* Of what was to be sent, or of the way to send it. */
static bool is_of_server(int err)
{
    return err == -ECANCELED || err == -EFAULT || err == -EOPNOTSUPP;
}

bool http_note_failure(struct http_context *ctx, bool open, const char *doing, int err)
{
    if (is_refused(err))
        http_warn(ctx, WARN_SOCKET, "cannot %s a client: %s; connection closed", doing,
                  strerror(-err));
    else if (open && !is_of_server(err))
        counter_add(err == -ETIMEDOUT ? &ctx->stats.vanished : &ctx->stats.resets, 1);
    return is_refused(err) || is_of_server(err);
}

COLD void http_refresh_date(struct http_context *ctx)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    memcpy(ctx->head, HEAD_OK HEAD_DATE HEAD_TYPE, sizeof ctx->head);
    http_date_format(wall.tv_sec, ctx->head + HEAD_OK_LEN + HEAD_DATE_LEN - HTTP_DATE_LEN - 2);
    uint64_t until = ctx->io->now + NS_PER_S - (uint64_t)wall.tv_nsec;
    *(ctx->server_line.ptr ? &ctx->named_until : &ctx->date_until) = until;
}
