#include "answer.h"

#include "http/fields/date.h"

#include <stdio.h>

enum { DATE_SLACK = 24 * 3600 };

static bool take(slice *s, slice what)
{
    if (!slice_starts(*s, what)) return false;
    *s = slice_skip(*s, what.len);
    return true;
}

static bool take_date(slice *s)
{
    slice rest = *s;
    time_t t, now = time(NULL);
    if (!take(&rest, SLICE("\r\nDate: ")) || rest.len < HTTP_DATE_LEN + 2) return false;
    if (!http_date_parse(slice_of(rest.ptr, HTTP_DATE_LEN), &t)) return false;
    if (t < now - DATE_SLACK || t > now + DATE_SLACK) return false;
    *s = slice_skip(rest, HTTP_DATE_LEN);
    return true;
}

/* Parses one chunk: its size as the server writes it (without extension), its data. */
static bool take_chunk(slice *s, slice *data)
{
    size_t n = 0, digits = 0;
    for (; digits < s->len && digits < 8; digits++) {
        char c = s->ptr[digits];
        if (c >= '0' && c <= '9')
            n = n * 16 + (size_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n * 16 + (size_t)(c - 'a' + 10);
        else
            break;
    }
    slice rest = slice_skip(*s, digits);
    if (digits == 0 || !take(&rest, SLICE("\r\n")) || rest.len < n) return false;
    *data = slice_of(rest.ptr, n);
    rest = slice_skip(rest, n);
    if (!take(&rest, SLICE("\r\n"))) return false;
    *s = rest;
    return true;
}

/* Joins the chunks present to one, and adds the last chunk if it is present. */
static void join_chunks(slice *s, struct bytes *out)
{
    struct bytes body = {0};
    char line[32];
    slice data;
    bool ended = false;
    while (!ended && take_chunk(s, &data)) {
        bytes_add(&body, data);
        ended = data.len == 0;
    }
    int n = snprintf(line, sizeof line, "%zx\r\n", body.len);
    if (body.len) {
        bytes_add(out, slice_of(line, (size_t)n));
        bytes_add(out, bytes_slice(&body));
        bytes_add(out, SLICE("\r\n"));
    }
    if (ended) bytes_add(out, SLICE("0\r\n\r\n"));
    free(body.ptr);
}

void answer_normalise(const struct wire_case *c, slice raw, struct bytes *out)
{
    bool chunked = false;
    while (raw.len) {
        if (take_date(&raw)) {
            bytes_add(out, SLICE("\r\nDate: *"));
            continue;
        }
        if (c->loose_continue && take(&raw, SLICE("HTTP/1.1 100 Continue\r\n\r\n"))) continue;
        if (c->loose_chunks && slice_starts(raw, SLICE("\r\nTransfer-Encoding: chunked\r\n")))
            chunked = true;
        if (chunked && take(&raw, SLICE("\r\n\r\n"))) {
            bytes_add(out, SLICE("\r\n\r\n"));
            join_chunks(&raw, out);
            chunked = false;
            continue;
        }
        bytes_add(out, slice_of(raw.ptr, 1));
        raw = slice_skip(raw, 1);
    }
}

void answer_print(slice s, const char *before)
{
    enum { LINE = 120, LINES = 40 };
    for (int lines = 0; s.len && lines < LINES; lines++) {
        fputs(before, stdout);
        for (int column = 0; s.len && column < LINE; column++) {
            unsigned char b = (unsigned char)s.ptr[0];
            s = slice_skip(s, 1);
            if (b == '\r')
                fputs("\\r", stdout);
            else if (b == '\n')
                fputs("\\n", stdout);
            else if (b < 0x20 || b > 0x7e)
                printf("\\x%02x", b);
            else
                putchar(b);
            if (b == '\n') break;
        }
        putchar('\n');
    }
    if (s.len) printf("%s... and %zu bytes more\n", before, s.len);
}
