#include "http/fields/accept.h"

/* qvalue (RFC 9110, 12.4.2) in thousandths, or -1. */
static int parse_q(slice s)
{
    if (s.len == 0 || s.len > 5 || (s.ptr[0] != '0' && s.ptr[0] != '1')) return -1;
    if (s.len > 1 && s.ptr[1] != '.') return -1;
    int q = 0;
    for (size_t i = 2; i < 5; i++) {
        unsigned digit = i < s.len ? (unsigned)(unsigned char)s.ptr[i] - '0' : 0;
        if (digit > 9) return -1;
        q = q * 10 + (int)digit;
    }
    if (s.ptr[0] == '0') return q;
    return q == 0 ? 1000 : -1;
}

/* Parses a member such as "gzip ; q=0.5". An invalid coding matches none of ours. */
static slice parse_member(slice member, int *q)
{
    slice coding = {NULL, 0}, weight = member;
    slice_cut(&weight, ';', &coding);
    *q = 1000;
    if (weight.ptr) {
        weight = slice_trim(weight);
        bool is_q = weight.len >= 2 && slice_lower(weight.ptr[0]) == 'q' && weight.ptr[1] == '=';
        *q = is_q ? parse_q(slice_skip(weight, 2)) : -1;
        if (*q < 0) *q = 0;
    }
    return slice_trim(coding);
}

/* RFC 9110, 8.4.1.1 and 8.4.1.3: x-compress is compress, x-gzip is gzip. */
static bool same_coding(slice a, slice ours)
{
    if (a.len == ours.len + 2 && (a.ptr[0] | 0x20) == 'x' && a.ptr[1] == '-' &&
        (slice_eq(ours, SLICE("gzip")) || slice_eq(ours, SLICE("compress"))))
        a = slice_skip(a, 2);
    return slice_ieq(a, ours);
}

int accept_encoding(slice field, const slice *codings, int n)
{
    ASSERT(n >= 0 && n <= CODINGS_MAX);
    int q[CODINGS_MAX], identity = -1, star = -1; /* thousandths; -1: not listed */
    for (int i = 0; i < n; i++) q[i] = -1;

    slice member;
    while (slice_cut(&field, ',', &member)) {
        int weight;
        slice coding = parse_member(member, &weight);
        if (slice_eq(coding, SLICE("*"))) star = weight;
        if (slice_ieq(coding, SLICE("identity"))) identity = weight;
        for (int i = 0; i < n; i++)
            if (same_coding(coding, codings[i])) q[i] = weight;
    }

    /* If not listed, identity is acceptable, but ranks below every acceptable coding. */
    int best = -1, best_q = identity >= 0 ? identity : star;
    for (int i = 0; i < n; i++) {
        int mine = q[i] >= 0 ? q[i] : star;
        if (mine > 0 && (mine > best_q || (best < 0 && mine == best_q))) {
            best = i;
            best_q = mine;
        }
    }
    return best;
}
