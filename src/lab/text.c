#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_ROOM = 1024 };

static bool make_room(struct text *t, size_t n)
{
    size_t room = t->room ? t->room : FIRST_ROOM;
    if (t->failed || n <= t->room - t->len) return !t->failed;
    while (room - t->len < n) room *= 2;
    char *ptr = torc_alloc(t->rq, room);
    if (!ptr) {
        t->failed = true;
        return false;
    }
    if (t->len) memcpy(ptr, t->ptr, t->len);
    t->ptr = ptr;
    t->room = room;
    return true;
}

void text_put(struct text *t, torc_slice s)
{
    if (s.len == 0 || !make_room(t, s.len)) return;
    memcpy(t->ptr + t->len, s.ptr, s.len);
    t->len += s.len;
}

void text_put_number(struct text *t, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, n);
    text_put(t, (torc_slice){digits, (size_t)len});
}

static torc_slice html_escape(char c)
{
    switch (c) {
    case '<': return TORC_S("&lt;");
    case '>': return TORC_S("&gt;");
    case '&': return TORC_S("&amp;");
    case '"': return TORC_S("&quot;");
    case '\'': return TORC_S("&#39;");
    default: return (torc_slice){0};
    }
}

void text_put_html(struct text *t, torc_slice s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        torc_slice escape = html_escape(s.ptr[i]);
        if (!escape.ptr) continue;
        text_put(t, (torc_slice){s.ptr + from, i - from});
        text_put(t, escape);
        from = i + 1;
    }
    if (from < s.len) text_put(t, (torc_slice){s.ptr + from, s.len - from});
}

void text_put_json(struct text *t, torc_slice s)
{
    size_t from = 0;
    text_put(t, TORC_S("\""));
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        char escape[8];
        if (c >= ' ' && c != '"' && c != '\\') continue;
        int n = snprintf(escape, sizeof escape, "\\u%04x", c);
        text_put(t, (torc_slice){s.ptr + from, i - from});
        text_put(t, (torc_slice){escape, (size_t)n});
        from = i + 1;
    }
    if (from < s.len) text_put(t, (torc_slice){s.ptr + from, s.len - from});
    text_put(t, TORC_S("\""));
}

void text_reply(const struct text *t, const char *type)
{
    if (t->failed)
        torc_reply_error(t->rq, 503);
    else
        torc_reply(t->rq, 200, type, (torc_slice){t->ptr, t->len});
}
