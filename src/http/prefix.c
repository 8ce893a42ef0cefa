#include "http/prefix.h"

#include "http/target.h"

/* The next byte of a path, decoded; a malformed escape stands for itself. */
static char next_byte(slice path, size_t *i)
{
    int byte = path.ptr[*i] == '%' ? percent_byte(path, *i) : -1;
    *i += byte < 0 ? 1 : 3;
    return byte < 0 ? path.ptr[*i - 1] : (char)byte;
}

/* Skips a segment "." that begins at *i: file systems take "a/./b" for "a/b". */
static bool skip_dot(slice path, size_t *i)
{
    size_t end = *i;
    if (next_byte(path, &end) != '.') return false;
    size_t after = end;
    if (end < path.len && next_byte(path, &after) != '/') return false;
    *i = end;
    return true;
}

const char *prefix_fault(slice text)
{
    if (text.len == 0 || text.ptr[0] != '/') return "a prefix begins with '/'";
    char before = 0; /* decoded */
    for (size_t i = 0; i < text.len;) {
        char c = text.ptr[i];
        if (c <= ' ' || c > '~' || c == '?' || c == '#')
            return "a prefix contains a character that is not allowed in a path";
        if (c == '%' && percent_byte(text, i) < 0) return "an escape is malformed";
        if (before == '/' && (c == ':' || c == '*')) return "a prefix has no parameters";
        if (before == '/' && skip_dot(text, &(size_t){i})) return "a segment is \".\"";
        c = next_byte(text, &i);
        if (before == '/' && c == '/') return "a segment is empty";
        before = c;
    }
    return path_check(text) == PATH_FINE ? NULL : "no path has such a segment";
}

void prefix_init(struct prefix *p, slice text, char *room)
{
    int n = percent_decode(text, room, false);
    ASSERT(n > 0);
    if (room[n - 1] == '/') n--;
    p->text = slice_of(room, (size_t)n);
}

bool prefix_has(const struct prefix *p, slice path)
{
    const slice text = p->text;
    size_t at = 0, i = 0;
    while (at < text.len && i < path.len) {
        bool begins = at && text.ptr[at - 1] == '/'; /* a segment */
        if (begins && skip_dot(path, &i)) continue;
        char c = next_byte(path, &i);
        if (c == '/' && begins) continue; /* one of several */
        if (c != text.ptr[at]) return false;
        at++;
    }
    return at == text.len && (at == 0 || i == path.len || next_byte(path, &i) == '/');
}

enum prefix_match prefix_of_pattern(const struct prefix *p, slice pattern)
{
    slice rest = p->text, want, segment;
    if (rest.len == 0) return PREFIX_ALWAYS;
    if (memchr(pattern.ptr, '%', pattern.len)) return PREFIX_SOMETIMES;
    rest = slice_skip(rest, 1);
    slice from = pattern.len ? slice_skip(pattern, 1) : pattern;
    while (slice_cut(&rest, '/', &want)) {
        if (!slice_cut(&from, '/', &segment)) return PREFIX_NEVER;
        if (segment.len && (segment.ptr[0] == ':' || segment.ptr[0] == '*'))
            return PREFIX_SOMETIMES;
        if (slice_eq(segment, SLICE("."))) return PREFIX_SOMETIMES;
        if (!slice_eq(segment, want)) return PREFIX_NEVER;
    }
    return PREFIX_ALWAYS;
}
