#include "load/error_sample.h"

#include "base/value.h"
#include "load/escape.h"
#include "torc.h"

#include <stdarg.h>

enum {
    SHOWN = 60,  /* bytes of a malformed reply */
    BEFORE = 20, /* of these, at most so many before the problem */
};

TORC_PRINTF(2, 3) static void describe(struct error_sample *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->text, sizeof s->text, format, args);
    va_end(args);
    s->at = clock_ns();
}

/* ---- replies ---- */

void error_sample_status(struct error_sample *s, const struct request *request, unsigned status,
                         unsigned expected)
{
    char line[REQUEST_LINE];
    if (!s) return;
    request_line(request, line);
    if (expected)
        describe(s, "%u for %s, expected %u", status, line, expected);
    else
        describe(s, "%u for %s", status, line);
}

void body_difference_find(struct body_difference *d, slice want, uint64_t from, slice piece)
{
    size_t n = 0, i = 0;
    if (from < want.len) n = want.len - from < piece.len ? want.len - from : piece.len;
    while (i < n && want.ptr[from + i] == piece.ptr[i]) i++;
    *d = (struct body_difference){.at = from + i};
    if (i == n) return; /* equal as far as `want` goes, and longer */
    d->len = (uint32_t)(piece.len - i < EXCERPT ? piece.len - i : EXCERPT);
    memcpy(d->got, piece.ptr + i, d->len);
}

void error_sample_body(struct error_sample *s, const struct request *request,
                       const struct body_difference *d, slice want, uint64_t length)
{
    char line[REQUEST_LINE], lengths[80] = "", got[4 * EXCERPT + 1], expected[4 * EXCERPT + 1];
    if (!s) return;
    request_line(request, line);
    if (length != want.len)
        snprintf(lengths, sizeof lengths, "got %" PRIu64 " byte%s, expected %zu", length,
                 length == 1 ? "" : "s", want.len);
    if (!d || d->len == 0) {
        describe(s, "%s: %s", line, lengths);
        return;
    }
    slice rest = slice_skip(want, d->at);
    if (rest.len > EXCERPT) rest.len = EXCERPT;
    escape(slice_of(d->got, d->len), got, sizeof got);
    escape(rest, expected, sizeof expected);
    describe(s, "%s: byte %" PRIu64 " differs: got \"%s\", expected \"%s\"%s%s", line, d->at + 1,
             got, expected, *lengths ? "; " : "", lengths);
}

/* What was received around the problem, from the first byte where that is near. */
static void show(slice in, size_t at, char *to, size_t size)
{
    if (at > in.len) at = in.len;
    size_t from = at > SHOWN - BEFORE ? at - BEFORE : 0;
    slice rest = slice_skip(in, from);
    if (rest.len > SHOWN) rest.len = SHOWN;
    escape(rest, to, size);
}

void error_sample_framing(struct error_sample *s, const struct request *request,
                          const char *problem, slice in, size_t at)
{
    char line[REQUEST_LINE], bytes[SHOWN + 4];
    if (!s) return;
    request_line(request, line);
    show(in, at, bytes, sizeof bytes);
    describe(s, "%s: %s: \"%s\"", line, problem, bytes);
}

void error_sample_unsolicited(struct error_sample *s, const struct sock_addr *server, slice in)
{
    char address[SOCK_ADDR_TEXT], bytes[SHOWN + 4];
    if (!s) return;
    sock_addr_format(server, address);
    show(in, 0, bytes, sizeof bytes);
    describe(s, "%s sent unsolicited data: \"%s\"", address, bytes);
}

/* ---- connections ---- */

void error_sample_connect(struct error_sample *s, const struct sock_addr *server, int err)
{
    char address[SOCK_ADDR_TEXT];
    if (!s) return;
    sock_addr_format(server, address);
    describe(s, "%s: %s", address, strerror(err));
}

void error_sample_reset(struct error_sample *s, const struct sock_addr *server,
                        const struct request *request, int err, bool reply_started)
{
    char address[SOCK_ADDR_TEXT], line[REQUEST_LINE];
    if (!s) return;
    sock_addr_format(server, address);
    request_line(request, line);
    describe(s, "%s: %s %s the reply to %s", address, err ? strerror(err) : "Connection closed",
             reply_started ? "within" : "before", line);
}

void error_sample_timeout(struct error_sample *s, const struct sock_addr *server,
                          const struct request *request, uint64_t timeout, bool reply_started)
{
    char address[SOCK_ADDR_TEXT], line[REQUEST_LINE], time[VALUE_TEXT];
    if (!s) return;
    sock_addr_format(server, address);
    request_line(request, line);
    value_duration_text(timeout, time);
    describe(s, "%s: %s reply to %s within %s", address, reply_started ? "incomplete" : "no", line,
             time);
}
