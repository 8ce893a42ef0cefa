#include "serve/static_wish.h"

#include "http/accept.h"
#include "http/conditional.h"
#include "http/date.h"

static const struct {
    slice name;
    bool list; /* its lines are one value (RFC 9110, 5.3) */
} wishes[WISHES] = {
    [WISH_RANGE] = {SLICE("range"), false},
    [WISH_IF_MATCH] = {SLICE("if-match"), true},
    [WISH_IF_RANGE] = {SLICE("if-range"), false},
    [WISH_IF_NONE_MATCH] = {SLICE("if-none-match"), true},
    [WISH_ACCEPT_ENCODING] = {SLICE("accept-encoding"), true},
    [WISH_IF_MODIFIED_SINCE] = {SLICE("if-modified-since"), false},
    [WISH_IF_UNMODIFIED_SINCE] = {SLICE("if-unmodified-since"), false},
};

/* Without memory for both, the first: a client that gets the whole file can live with that. */
static slice join(torc_req *rq, slice a, slice b)
{
    char *p = arena_alloc_aligned(&rq->arena, a.len + 1 + b.len, 1);
    if (!p) return a;
    if (a.len) memcpy(p, a.ptr, a.len);
    p[a.len] = ',';
    if (b.len) memcpy(p + a.len + 1, b.ptr, b.len);
    return slice_of(p, a.len + 1 + b.len);
}

void static_wish_read(torc_req *rq, struct static_wish *wish)
{
    /* The lengths of the names above: most fields of a request are of none of them. */
    static const uint32_t lengths = 1 << 5 | 1 << 8 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 19;
    *wish = (struct static_wish){0};
    slice name, value;
    for (size_t at = 0; torc_header_next(rq, &at, &name, &value);) {
        if (name.len > 31 || !(lengths >> name.len & 1)) continue;
        for (int i = 0; i < WISHES; i++) {
            if (!slice_ieq(name, wishes[i].name)) continue;
            if (!wish->value[i].ptr)
                wish->value[i] = value;
            else if (wishes[i].list)
                wish->value[i] = join(rq, wish->value[i], value);
        }
    }
}

struct static_version *static_wish_version(const struct static_wish *wish, struct static_file *f)
{
    if (f->n_versions == 1) return &f->version[0];
    int best = accept_encoding(wish->value[WISH_ACCEPT_ENCODING], f->codings, f->n_versions - 1);
    return &f->version[1 + best];
}

/* RFC 9110, 13.1.5: the same strong tag or the very date. */
static bool unchanged(slice if_range, const struct static_version *v)
{
    time_t date;
    if (!if_range.ptr || slice_eq(slice_trim(if_range), v->etag)) return true;
    return http_date_parse(if_range, &date) && date == v->modified;
}

int static_wish_status(const struct static_wish *wish, const struct static_version *v, bool get,
                       struct http_range range[RANGES_MAX], int *n)
{
    const slice *value = wish->value;
    time_t date;
    if (value[WISH_IF_MATCH].ptr) {
        if (!etag_match(value[WISH_IF_MATCH], v->etag, false)) return 412;
    } else if (value[WISH_IF_UNMODIFIED_SINCE].ptr) {
        if (http_date_parse(value[WISH_IF_UNMODIFIED_SINCE], &date) && v->modified > date)
            return 412;
    }
    if (value[WISH_IF_NONE_MATCH].ptr) {
        if (etag_match(value[WISH_IF_NONE_MATCH], v->etag, true)) return 304;
    } else if (value[WISH_IF_MODIFIED_SINCE].ptr) {
        if (http_date_parse(value[WISH_IF_MODIFIED_SINCE], &date) && v->modified <= date)
            return 304;
    }
    if (!get || !value[WISH_RANGE].ptr || !unchanged(value[WISH_IF_RANGE], v)) return 200;
    *n = range_parse(value[WISH_RANGE], v->size, range);
    return *n > 0 ? 206 : *n < 0 ? 416 : 200;
}
