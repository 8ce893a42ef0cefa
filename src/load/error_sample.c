#include "load/first.h"

#include "base/value.h"
#include "torc.h"

#include <stdarg.h>

enum {
    SHOWN = 60,
    BEFORE = 20
}; /* bytes of a malformed reply, and those of them before the problem */

/* ---- text ---- */

/* Writes one byte as at most four characters; returns how many. */
static size_t escape_byte(unsigned char c, char to[5])
{
    static const char escaped[] = "\\\"\r\n\t", as[] = "\\\"rnt";
    const char *found = c ? strchr(escaped, c) : NULL;
    if (found) return (size_t)snprintf(to, 5, "\\%c", as[found - escaped]);
    return (size_t)snprintf(to, 5, c >= ' ' && c < 0x7f ? "%c" : "\\x%02x", c);
}

void escape(slice bytes, char *to, size_t size)
{
    size_t len = 0, whole = 0; /* the length that leaves room for "..." */
    for (size_t i = 0; i < bytes.len; i++) {
        char one[5];
        size_t n = escape_byte((unsigned char)bytes.ptr[i], one);
        if (len + n >= size) {
            memcpy(to + whole, "...", 4);
            return;
        }
        memcpy(to + len, one, n);
        len += n;
        if (len + 3 < size) whole = len;
    }
    to[len] = '\0';
}

TORC_PRINTF(2, 3) static void say(struct first_error *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
    f->at = clock_ns();
}

/* ---- bodies ---- */

void difference_find(struct difference *d, slice want, uint64_t from, slice piece)
{
    size_t n = 0, i = 0;
    if (from < want.len) n = want.len - from < piece.len ? want.len - from : piece.len;
    while (i < n && want.ptr[from + i] == piece.ptr[i]) i++;
    *d = (struct difference){.at = from + i};
    if (i == n) return; /* right as far as it goes, and too long */
    d->len = (uint32_t)(piece.len - i < EXCERPT ? piece.len - i : EXCERPT);
    memcpy(d->came, piece.ptr + i, d->len);
}

void first_body(struct first_error *f, const char *request, const struct difference *d, slice want,
                uint64_t came)
{
    char lengths[80] = "", these[4 * EXCERPT + 1], those[4 * EXCERPT + 1];
    if (came != want.len)
        snprintf(lengths, sizeof lengths, "%" PRIu64 " byte%s came, %zu expected", came,
                 came == 1 ? "" : "s", want.len);
    if (!d || d->len == 0) {
        say(f, "%s: %s", request, lengths);
        return;
    }
    slice rest = slice_skip(want, d->at);
    if (rest.len > EXCERPT) rest.len = EXCERPT;
    escape(slice_of(d->came, d->len), these, sizeof these);
    escape(rest, those, sizeof those);
    say(f, "%s: byte %" PRIu64 " differs: \"%s\" came for \"%s\"%s%s", request, d->at + 1, these,
        those, *lengths ? "; " : "", lengths);
}

/* ---- the others ---- */

void first_status(struct first_error *f, const char *request, unsigned status, unsigned expected)
{
    if (expected)
        say(f, "%u for %s, %u expected", status, request, expected);
    else
        say(f, "%u for %s", status, request);
}

/* What came around the problem, from the beginning where that is near. */
static void show(slice in, size_t at, char *to, size_t size)
{
    if (at > in.len) at = in.len;
    size_t from = at > SHOWN - BEFORE ? at - BEFORE : 0;
    slice rest = slice_skip(in, from);
    if (rest.len > SHOWN) rest.len = SHOWN;
    escape(rest, to, size);
}

void first_framing(struct first_error *f, const char *request, const char *problem, slice in,
                   size_t at)
{
    char bytes[SHOWN + 4];
    show(in, at, bytes, sizeof bytes);
    say(f, "%s: %s: \"%s\"", request, problem, bytes);
}

void first_unasked(struct first_error *f, const char *server, slice in)
{
    char bytes[SHOWN + 4];
    show(in, 0, bytes, sizeof bytes);
    say(f, "%s sent what nobody asked for: \"%s\"", server, bytes);
}

void first_connect(struct first_error *f, const char *server, int err)
{
    say(f, "%s: %s", server, strerror(err));
}

void first_reset(struct first_error *f, const char *server, const char *request, int err,
                 bool in_reply)
{
    say(f, "%s: %s %s the reply to %s", server, err ? strerror(err) : "Connection closed",
        in_reply ? "within" : "before", request);
}

void first_timeout(struct first_error *f, const char *server, const char *request, uint64_t timeout,
                   bool in_reply)
{
    char time[VALUE_TEXT];
    value_duration_text(timeout, time);
    say(f, "%s: %s reply to %s within %s", server, in_reply ? "no whole" : "no", request, time);
}
