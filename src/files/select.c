#include "files/select.h"

#include "http/fields/accept.h"
#include "http/fields/conditional.h"
#include "http/fields/date.h"

static const struct {
    slice name;
    bool list; /* several lines are one list (RFC 9110, 5.3) */
} select_fields[SELECT_FIELDS] = {
    [SELECT_RANGE] = {SLICE("range"), false},
    [SELECT_IF_MATCH] = {SLICE("if-match"), true},
    [SELECT_IF_RANGE] = {SLICE("if-range"), false},
    [SELECT_IF_NONE_MATCH] = {SLICE("if-none-match"), true},
    [SELECT_ACCEPT_ENCODING] = {SLICE("accept-encoding"), true},
    [SELECT_IF_MODIFIED_SINCE] = {SLICE("if-modified-since"), false},
    [SELECT_IF_UNMODIFIED_SINCE] = {SLICE("if-unmodified-since"), false},
};

/* Without memory for both, returns the first: the response is then at worst the whole file. */
static slice join(torc_req *rq, slice a, slice b)
{
    char *p = arena_alloc_aligned(&rq->arena, a.len + 1 + b.len, 1);
    if (!p) return a;
    if (a.len) memcpy(p, a.ptr, a.len);
    p[a.len] = ',';
    if (b.len) memcpy(p + a.len + 1, b.ptr, b.len);
    return slice_of(p, a.len + 1 + b.len);
}

void select_read(torc_req *rq, struct selection *selection)
{
    /* The lengths of the names above: most fields of a request have other lengths. */
    static const uint32_t lengths = 1 << 5 | 1 << 8 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 19;
    *selection = (struct selection){0};
    slice name, value;
    for (size_t at = 0; torc_header_next(rq, &at, &name, &value);) {
        if (name.len > 31 || !(lengths >> name.len & 1)) continue;
        for (int i = 0; i < SELECT_FIELDS; i++) {
            if (!slice_ieq(name, select_fields[i].name)) continue;
            if (!selection->value[i].ptr)
                selection->value[i] = value;
            else if (select_fields[i].list)
                selection->value[i] = join(rq, selection->value[i], value);
        }
    }
}

struct static_version *select_version(const struct selection *selection, struct static_file *f)
{
    if (f->n_versions == 1) return &f->version[0];
    int best =
        accept_encoding(selection->value[SELECT_ACCEPT_ENCODING], f->codings, f->n_versions - 1);
    return &f->version[1 + best];
}

/* RFC 9110, 13.1.5: the client's part is of this version if it has the same strong tag. A date does
 * not tell: a file can change twice within its second, and nobody knows that it did not (8.8.2.2).
 * A client that has our tag must not send a date anyway. */
static bool unchanged(slice if_range, const struct static_version *v)
{
    return !if_range.ptr || slice_eq(slice_trim(if_range), v->etag);
}

int select_status(const struct selection *selection, const struct static_version *v, bool get,
                  struct http_range range[RANGES_MAX], int *n)
{
    const slice *value = selection->value;
    time_t date;
    if (value[SELECT_IF_MATCH].ptr) {
        if (!etag_match(value[SELECT_IF_MATCH], v->etag, false)) return 412;
    } else if (value[SELECT_IF_UNMODIFIED_SINCE].ptr) {
        if (http_date_parse(value[SELECT_IF_UNMODIFIED_SINCE], &date) && v->modified > date)
            return 412;
    }
    if (value[SELECT_IF_NONE_MATCH].ptr) {
        if (etag_match(value[SELECT_IF_NONE_MATCH], v->etag, true)) return 304;
    } else if (value[SELECT_IF_MODIFIED_SINCE].ptr) {
        if (http_date_parse(value[SELECT_IF_MODIFIED_SINCE], &date) && v->modified <= date)
            return 304;
    }
    if (!get || !value[SELECT_RANGE].ptr || !unchanged(value[SELECT_IF_RANGE], v)) return 200;
    *n = range_parse(value[SELECT_RANGE], v->size, range);
    return *n > 0 ? 206 : *n < 0 ? 416 : 200;
}
