#include "http/fields/parameter.h"

#include "http/fields/field.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes a quoted string; false if it has no end. */
static bool unquote(slice *s, slice *value)
{
    const char *p = s->ptr + 1, *end = s->ptr + s->len;
    char *start = (char *)(uintptr_t)p, *to = start;
    while (p < end && *p != '"') {
        if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\')) p++;
        *to++ = *p++;
    }
    if (p == end) return false;
    *value = slice_of(start, (size_t)(to - start));
    *s = slice_of(p + 1, (size_t)(end - p) - 1);
    return true;
}

static void take_plain(slice *s, slice *value)
{
    const char *end = memchr(s->ptr, ';', s->len);
    size_t n = end ? (size_t)(end - s->ptr) : s->len;
    *value = slice_trim(slice_of(s->ptr, n));
    *s = slice_skip(*s, n);
}

int parameter_next(slice *rest, slice *name, slice *value)
{
    slice s = *rest;
    size_t n = 0;
    while (s.len && (s.ptr[0] == ';' || is_space(s.ptr[0]))) s = slice_skip(s, 1);
    *rest = s;
    if (!s.len) return 0;
    while (n < s.len && field_token_char[(unsigned char)s.ptr[n]]) n++;
    if (n == 0 || n == s.len || s.ptr[n] != '=') return -1;
    *name = slice_of(s.ptr, n);
    s = slice_skip(s, n + 1);
    if (!s.len || s.ptr[0] != '"')
        take_plain(&s, value);
    else if (!unquote(&s, value))
        return -1;
    while (s.len && is_space(s.ptr[0])) s = slice_skip(s, 1);
    *rest = s;
    return !s.len || s.ptr[0] == ';' ? 1 : -1;
}
