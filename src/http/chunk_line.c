#include "http/chunk_line.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_separator(char c)
{
    return c == ';' || c == '=';
}

static size_t leave_out_space(struct chunk_line *c, slice in)
{
    size_t n = 0;
    while (n < in.len && is_space(in.ptr[n])) n++;
    if (!is_separator(c->last)) c->held = true;
    return n;
}

static void follow_quotes(struct chunk_line *c, char byte)
{
    if (c->escaped)
        c->escaped = false;
    else if (byte == '"')
        c->quoted = !c->quoted;
    else
        c->escaped = c->quoted && byte == '\\';
}

/* The bytes up to the next white space outside quotes, or through the end of the line. */
static size_t pass_on(struct chunk_line *c, slice in)
{
    size_t n = 0;
    do {
        c->last = in.ptr[n++];
        follow_quotes(c, c->last);
    } while (n < in.len && c->last != '\n' && (c->quoted || !is_space(in.ptr[n])));
    return n;
}

size_t chunk_line_next(struct chunk_line *c, slice in, slice *pass)
{
    *pass = slice_of(in.ptr, 0);
    if (!c->quoted && is_space(in.ptr[0])) return leave_out_space(c, in);
    if (c->held && !is_separator(in.ptr[0])) {
        c->held = false;
        *pass = SLICE(" ");
        return 0;
    }
    c->held = false;
    size_t n = pass_on(c, in);
    if (c->last == '\n') n = in.len;
    *pass = slice_of(in.ptr, n);
    return n;
}
