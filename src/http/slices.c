/* Slices as numbers, and as text of other kinds. */

#include "http/fields/json_text.h"
#include "http/request.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

bool torc_slice_eq(torc_slice a, torc_slice b)
{
    return slice_eq(a, b);
}

bool torc_slice_ieq(torc_slice a, torc_slice b)
{
    return slice_ieq(a, b);
}

/* What the compiler knows of `differ` it must not use to stop early. */
bool torc_slice_secret_eq(torc_slice a, torc_slice b)
{
    volatile unsigned char differ = a.len != b.len;
    for (size_t i = 0; i < a.len && i < b.len; i++)
        differ = differ | (unsigned char)(a.ptr[i] ^ b.ptr[i]);
    return !differ;
}

torc_slice torc_slice_str(const char *text)
{
    return text ? slice_str(text) : (slice){0};
}

bool torc_slice_u64(torc_slice s, uint64_t *out)
{
    uint64_t v;
    if (!slice_u64(s, &v)) return false;
    *out = v; /* a program's default stays where there is no number */
    return true;
}

bool torc_slice_i64(torc_slice s, int64_t *out)
{
    bool negative = s.len && s.ptr[0] == '-';
    uint64_t v;
    if (!slice_u64(negative ? slice_skip(s, 1) : s, &v)) return false;
    if (v > (uint64_t)INT64_MAX + negative) return false;
    *out = (int64_t)(negative ? -v : v);
    return true;
}

static slice skip_digits(slice s)
{
    while (s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9') s = slice_skip(s, 1);
    return s;
}

/* The grammar of a JSON number (RFC 8259, 6), but any number of zeros in front. */
static bool is_number(slice s)
{
    if (s.len && s.ptr[0] == '-') s = slice_skip(s, 1);
    slice rest = skip_digits(s);
    if (rest.len == s.len) return false;
    if (rest.len && rest.ptr[0] == '.') {
        s = slice_skip(rest, 1);
        rest = skip_digits(s);
        if (rest.len == s.len) return false;
    }
    if (rest.len && (rest.ptr[0] | 0x20) == 'e') {
        s = slice_skip(rest, 1);
        if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+')) s = slice_skip(s, 1);
        rest = skip_digits(s);
        if (rest.len == s.len) return false;
    }
    return rest.len == 0;
}

/* Of the locale "C": a thread's own may have a decimal comma. */
static locale_t plain;

__attribute__((constructor)) static void make_plain(void)
{
    plain = newlocale(LC_ALL_MASK, "C", NULL);
}

bool torc_slice_double(torc_slice s, double *out)
{
    char text[128];
    if (s.len >= sizeof text || !is_number(s) || !plain) return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    double v = strtod_l(text, NULL, plain);
    if (!isfinite(v)) return false;
    *out = v;
    return true;
}

char *torc_cstr(torc_req *rq, torc_slice s)
{
    if (!s.ptr || (s.len && memchr(s.ptr, '\0', s.len))) return NULL;
    char *text = arena_alloc_aligned(&rq->arena, s.len + 1, 1);
    if (!text) return NULL;
    if (s.len) memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    return text;
}

const char *torc_json_quote(torc_req *rq, torc_slice text)
{
    if (!text.ptr) return "null";
    char *quoted = arena_alloc_aligned(&rq->arena, json_text_size(text) + 1, 1);
    if (!quoted) {
        rq->response.unquoted = true;
        return "null";
    }
    *json_text_put(quoted, text) = '\0';
    return quoted;
}
