#include "http/fields/range.h"

/* Digits only, at least one. A number beyond 64 bits is beyond any representation and is
 * clamped. */
static bool parse_position(slice s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9) return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            v = UINT64_MAX;
    }
    *out = v;
    return true;
}

enum spec { MALFORMED, UNSATISFIABLE, SATISFIABLE, ALL_OF_NOTHING };

static enum spec parse_suffix(slice digits, uint64_t size, struct http_range *r)
{
    uint64_t length;
    if (!parse_position(digits, &length)) return MALFORMED;
    if (length == 0) return UNSATISFIABLE;
    if (size == 0) return ALL_OF_NOTHING;
    *r = (struct http_range){length < size ? size - length : 0, size - 1};
    return SATISFIABLE;
}

/* int-range or suffix-range (RFC 9110, 14.1.1) */
static enum spec parse_spec(slice s, uint64_t size, struct http_range *r)
{
    slice first, last = s;
    if (!slice_cut(&last, '-', &first) || !last.ptr) return MALFORMED;
    if (first.len == 0) return parse_suffix(last, size, r);

    r->to = UINT64_MAX;
    if (!parse_position(first, &r->from)) return MALFORMED;
    if (last.len && !parse_position(last, &r->to)) return MALFORMED;
    if (r->to < r->from) return MALFORMED;
    if (r->from >= size) return UNSATISFIABLE;
    if (r->to >= size) r->to = size - 1;
    return SATISFIABLE;
}

int range_parse(slice field, uint64_t size, struct http_range out[RANGES_MAX])
{
    slice unit, member, rest = slice_trim(field);
    if (!slice_cut(&rest, '=', &unit) || !slice_ieq(unit, SLICE("bytes"))) return 0;

    int asked = 0, n = 0;
    uint64_t sum = 0;
    bool everything = false;
    while (slice_cut(&rest, ',', &member)) {
        member = slice_trim(member);
        if (member.len == 0) continue; /* empty list members are allowed (5.6.1) */
        if (++asked > RANGES_MAX) return 0;
        switch (parse_spec(member, size, &out[n])) {
        case MALFORMED: return 0;
        case UNSATISFIABLE: break;
        case ALL_OF_NOTHING: everything = true; break;
        case SATISFIABLE:
            if (__builtin_add_overflow(sum, out[n].to - out[n].from + 1, &sum)) return 0;
            n++;
        }
    }
    if (asked == 0 || everything) return 0;
    if (sum > size && sum - size > size) return 0;
    return n ? n : -1;
}
