/* Names that are no option's: which one may have been meant. */

#include "base/option.h"

/* The Damerau-Levenshtein distance (optimal string alignment): the fewest insertions, deletions,
 * replacements and swaps of neighbours that turn one into the other. */
static size_t edit_distance(slice a, slice b)
{
    size_t rows[3][OPTION_NAME_MAX + 1]; /* of the matrix: the current one and the two before */
    if (a.len > OPTION_NAME_MAX || b.len > OPTION_NAME_MAX) return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3], *prev = rows[(i - 1) % 3], *prev2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = prev[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (prev[j] + 1 < best) best = prev[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a.len % 3][b.len];
}

/* Whether it is `known` with letters left out, such as conns for connections. */
static bool abbreviates(slice name, slice known)
{
    size_t n = 0;
    if (name.len < 4 || name.ptr[0] != known.ptr[0]) return false;
    for (size_t i = 0; i < known.len && n < name.len; i++) n += name.ptr[n] == known.ptr[i];
    return n == name.len;
}

/* Lower is more similar. */
static size_t distance(slice name, slice known)
{
    if ((name.len > 2 && slice_starts(known, name)) || abbreviates(name, known)) return 1;
    return edit_distance(name, known);
}

/* Fails, and suggests the most similar name. `dashes` are those given before the name. */
static int fail_unknown(struct option_set *s, const char *dashes, slice name)
{
    bool negated = slice_starts(name, SLICE("no-"));
    slice bare = negated ? slice_skip(name, 3) : name;
    const struct option *nearest = NULL;
    size_t best = bare.len < 2 ? 0 : bare.len / 6 + 2; /* two of four letters make another word */
    for (size_t i = 0; i < s->count; i++) {
        const struct option *o = &s->list[i];
        size_t d = distance(bare, slice_str(o->name));
        if (d < best && (!negated || option_is_flag(o))) {
            best = d;
            nearest = o;
        }
    }
    int len = option_tellable(name);
    const char *rest = (size_t)len < name.len ? "..." : "";
    if (!nearest)
        return option_fail(s, "unknown option %s%.*s%s (see --help)", dashes, len, name.ptr, rest);
    return option_fail(s, "unknown option %s%.*s%s, did you mean %s%s%s? (see --help)", dashes, len,
                       name.ptr, rest, option_dashes(s), negated ? "no-" : "", nearest->name);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* `given` has its dashes; on the command line alone a name needs them. A single letter may have its
 * value attached; before another letter it rather begins a name, as in -cert. */
static bool is_alias(const struct option_set *s, slice theirs, slice given)
{
    if (s->level != LEVEL_COMMAND) return theirs.len > 2 && slice_eq(slice_skip(theirs, 2), given);
    if (theirs.len != 2 || given.len == 2) return slice_eq(given, theirs);
    return slice_starts(given, theirs) && !is_letter(given.ptr[2]);
}

int option_fail_unknown(struct option_set *s, slice given)
{
    bool negated, command = s->level == LEVEL_COMMAND;
    size_t dashes = 0;
    while (command && dashes < given.len && dashes < 2 && given.ptr[dashes] == '-') dashes++;
    slice name = slice_skip(given, dashes);
    bool is_ours = option_find(s, name, &negated); /* -depth */
    for (size_t i = 0; i < s->program->n_aliases && !is_ours; i++) {
        const struct option_alias *a = &s->program->aliases[i];
        const char *theirs = command ? a->theirs : a->theirs + 2;
        if (!is_alias(s, slice_str(a->theirs), given)) continue;
        if (a->ours[0] != '-') return option_fail(s, "unknown option %s: %s", theirs, a->ours);
        return option_fail(s, "unknown option %s: use %s (see --help)", theirs,
                           command ? a->ours : a->ours + 2);
    }
    return fail_unknown(s, dashes == 2 ? "--" : dashes ? "-" : "", name);
}
