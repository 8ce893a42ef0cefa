#include "http/fields/conditional.h"

/* Length of the entity-tag at the start of `s`, or 0. entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE */
static size_t etag_len(slice s)
{
    size_t i = slice_starts(s, SLICE("W/")) ? 2 : 0;
    if (i == s.len || s.ptr[i++] != '"') return 0;
    for (; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"') return i + 1;
        if (c < 0x21 || c == 0x7f) return 0;
    }
    return 0;
}

static bool etag_eq(slice a, slice b, bool weak_compare)
{
    bool a_weak = slice_starts(a, SLICE("W/")), b_weak = slice_starts(b, SLICE("W/"));
    if (!weak_compare && (a_weak || b_weak)) return false;
    return slice_eq(slice_skip(a, a_weak ? 2 : 0), slice_skip(b, b_weak ? 2 : 0));
}

bool etag_match(slice field, slice etag, bool weak_compare)
{
    slice rest = slice_trim(field);
    if (slice_eq(rest, SLICE("*"))) return true;

    bool found = false;
    while (rest.len) {
        if (rest.ptr[0] != ',') { /* not an empty member */
            size_t n = etag_len(rest);
            if (n == 0) return false;
            found |= etag_eq(slice_of(rest.ptr, n), etag, weak_compare);
            rest = slice_trim(slice_skip(rest, n));
            if (rest.len == 0) break;
            if (rest.ptr[0] != ',') return false;
        }
        rest = slice_trim(slice_skip(rest, 1));
    }
    return found;
}
