/* Cookies of a request and its response. */

#include "http/fields/cookie.h"

#include "base/decimal.h"
#include "http/fields/field.h"
#include "http/response.h"

#include <errno.h>

enum {
    PAIR_MAX = 4096,      /* bytes of name and value that user agents keep (RFC 6265bis, 5.6) */
    ATTRIBUTE_MAX = 1024, /* and of an attribute's value */
    ATTRIBUTES = 160,     /* bytes of all others, and of the names of these */
};

torc_slice torc_cookie(const torc_req *rq, const char *name)
{
    const struct head *h = &rq->head;
    slice want = slice_str(name), n, v;
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!slice_ieq(head_field_name(h, i), SLICE("cookie"))) continue;
        for (slice rest = head_field_value(h, i); cookie_next(&rest, &n, &v);)
            if (slice_eq(n, want)) return v;
    }
    return (slice){NULL, 0};
}

static bool attribute_valid(const char *text, slice *out)
{
    *out = text ? slice_str(text) : SLICE("");
    return out->len <= ATTRIBUTE_MAX && cookie_attribute_valid(*out);
}

/* The prefixes that name what a cookie has (RFC 6265bis, 4.1.3); user agents ignore their case. */
static bool prefix_kept(slice name, slice path, slice domain, bool secure)
{
    static const slice host = SLICE("__Host-"), safe = SLICE("__Secure-");
    if (name.len >= safe.len && slice_ieq(slice_of(name.ptr, safe.len), safe)) return secure;
    if (name.len < host.len || !slice_ieq(slice_of(name.ptr, host.len), host)) return true;
    return secure && domain.len == 0 && slice_eq(path, SLICE("/"));
}

static char *put(char *p, slice text)
{
    return slice_copy(p, text.ptr, text.len);
}

static char *put_max_age(char *p, int64_t seconds)
{
    if (seconds < 0) return put(p, SLICE("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
    return seconds ? decimal_put(put(p, SLICE("; Max-Age=")), (uint64_t)seconds) : p;
}

static char *put_attributes(char *p, slice path, slice domain, const torc_cookie_options *o)
{
    static const slice same_site[] = {
        [TORC_SAME_SITE_LAX] = SLICE("; SameSite=Lax"),
        [TORC_SAME_SITE_STRICT] = SLICE("; SameSite=Strict"),
        [TORC_SAME_SITE_NONE] = SLICE("; SameSite=None"),
    };
    p = put(put(p, SLICE("; Path=")), path);
    if (domain.len) p = put(put(p, SLICE("; Domain=")), domain);
    p = put_max_age(p, o->max_age);
    if (o->secure) p = put(p, SLICE("; Secure"));
    if (!o->scripts) p = put(p, SLICE("; HttpOnly"));
    return put(p, same_site[o->same_site]);
}

int torc_set_cookie(torc_req *rq, const char *name, torc_slice value,
                    const torc_cookie_options *options)
{
    static const torc_cookie_options usual;
    const torc_cookie_options *o = options ? options : &usual;
    slice n = slice_str(name), path, domain;
    if (rq->response.status) return -EALREADY;
    if (!field_name_valid(n) || !cookie_value_valid(value) || n.len + value.len > PAIR_MAX)
        return -EINVAL;
    if (!attribute_valid(o->path ? o->path : "/", &path) || path.len == 0 || path.ptr[0] != '/' ||
        !attribute_valid(o->domain, &domain) || !prefix_kept(n, path, domain, o->secure))
        return -EINVAL;
    if ((unsigned)o->same_site > TORC_SAME_SITE_NONE ||
        (o->same_site == TORC_SAME_SITE_NONE && !o->secure))
        return -EINVAL;
    char *line = response_line_room(rq, n.len + value.len + path.len + domain.len + ATTRIBUTES);
    if (!line) return -ENOMEM;
    char *p = put(put(line, SLICE("Set-Cookie: ")), n);
    *p++ = '=';
    p = put_attributes(put(p, value), path, domain, o);
    p = put(p, SLICE("\r\n"));
    rq->response.fields_len += (uint32_t)(p - line);
    return 0;
}
