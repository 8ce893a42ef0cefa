#include "serve/option.h"

struct option *option_find(struct option_set *s, slice name, bool *negated)
{
    *negated = false;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < s->count; i++) {
            struct option *o = &s->list[i];
            if (slice_eq(slice_str(o->name), name) && (!*negated || option_is_flag(o))) return o;
        }
        if (!slice_starts(name, SLICE("no-"))) break;
        name = slice_skip(name, 3);
        *negated = true;
    }
    return NULL;
}

/* Insertions, deletions, replacements and swaps of neighbours that make one of the other. */
static size_t distance(slice a, slice b)
{
    size_t row[3][OPTION_NAME_MAX + 1];
    if (a.len > OPTION_NAME_MAX || b.len > OPTION_NAME_MAX) return OPTION_NAME_MAX;
    for (size_t j = 0; j <= b.len; j++) row[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = row[i % 3], *up = row[(i - 1) % 3], *upper = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = up[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (up[j] + 1 < best) best = up[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                upper[j - 2] + 1 < best)
                best = upper[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[a.len % 3][b.len];
}

int option_unknown(struct option_set *s, const char *before, slice name)
{
    bool no = slice_starts(name, SLICE("no-"));
    slice bare = no ? slice_skip(name, 3) : name;
    const struct option *nearest = NULL;
    size_t best = bare.len / 4 + 2;
    for (size_t i = 0; i < s->count; i++) {
        const struct option *o = &s->list[i];
        slice have = slice_str(o->name);
        size_t d = bare.len > 2 && slice_starts(have, bare) ? 1 : distance(bare, have);
        if (d < best && (!no || option_is_flag(o))) {
            best = d;
            nearest = o;
        }
    }
    int len = name.len > 60 ? 60 : (int)name.len;
    if (!nearest)
        return option_fail(s, "unknown option %s%.*s (see --help)", before, len, name.ptr);
    return option_fail(s, "unknown option %s%.*s, did you mean %s%s%s? (see --help)", before, len,
                       name.ptr, option_dashes(s), no ? "no-" : "", nearest->name);
}
