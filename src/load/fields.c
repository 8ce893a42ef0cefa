#include "load/fields.h"

#include "http/fields/field.h"

#include <stdio.h>

static slice trim(slice s)
{
    while (s.len && (*s.ptr == ' ' || *s.ptr == '\t')) s = slice_skip(s, 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
    return s;
}

static bool cut(const char *line, slice *name, slice *value)
{
    *value = slice_str(line);
    if (!slice_cut(value, ':', name) || !value->ptr) return false;
    *value = trim(*value);
    return true;
}

bool fields_valid(const char *line)
{
    slice name, value;
    return cut(line, &name, &value) && field_name_valid(name) && field_value_valid(value);
}

/* What is wrong with a field, or NULL. */
static const char *fault(const struct request_form *form, slice name, slice value)
{
    if (slice_ieq(name, SLICE("transfer-encoding"))) return "for a body in chunks, give --chunked";
    if (slice_ieq(name, SLICE("content-length"))) return "it is sent where there is a body";
    if (slice_ieq(name, SLICE("upgrade"))) return "no other protocol is spoken";
    if (slice_ieq(name, SLICE("connection")) && !slice_ieq(value, SLICE("close")) &&
        !slice_ieq(value, SLICE("keep-alive")))
        return "it takes close or keep-alive";
    if (slice_ieq(name, SLICE("expect")) && !slice_ieq(value, SLICE("100-continue")))
        return "it takes 100-continue";
    if (slice_ieq(name, SLICE("expect")) && !form->has_body) /* RFC 9110, 10.1.1 */
        return "it needs a body";
    return NULL;
}

/* Fields that a request has once at most. */
static bool is_single(slice name)
{
    static const slice single[] = {SLICE("host"), SLICE("connection"), SLICE("expect")};
    for (size_t i = 0; i < ARRAY_LEN(single); i++)
        if (slice_ieq(name, single[i])) return true;
    return false;
}

static bool given_before(const struct request_form *form, uint32_t n, slice name)
{
    slice other, value;
    for (uint32_t i = 0; i < n; i++)
        if (cut(form->headers[i], &other, &value) && slice_ieq(other, name)) return true;
    return false;
}

bool fields_check(const struct request_form *form, char *why, size_t size)
{
    if (form->method && strcmp(form->method, "CONNECT") == 0) {
        snprintf(why, size, "--method CONNECT: proxies are not supported");
        return false;
    }
    for (uint32_t i = 0; i < form->n_headers; i++) {
        slice name, value;
        if (!cut(form->headers[i], &name, &value)) continue;
        const char *what = fault(form, name, value);
        if (!what && is_single(name) && given_before(form, i, name)) what = "it is given twice";
        if (!what) continue;
        snprintf(why, size, "--header %.*s: %s (a request that is wrong on purpose: --template)",
                 (int)name.len, name.ptr, what);
        return false;
    }
    return true;
}
