#pragma once
/* The target of a request (RFC 9112, 3.2), its authority and its query. Slices point into what was
 * given, or into static memory. */

#include "base/slice.h"

struct target {
    slice path;    /* begins with '/', not decoded; "*" of the asterisk-form */
    slice query;   /* behind '?', not decoded; absent (ptr NULL) without one */
    slice host;    /* uri-host [":" port] of the absolute-form; else absent */
    bool asterisk; /* the asterisk-form, or what stands for it */
};

/* Origin-form; absolute-form with http or https, a host and no userinfo, where an empty path reads
 * as "/", or as the asterisk-form when `options`; asterisk-form only when `options`. A target is of
 * the bytes 0x21 to 0x7e without '#'; of those RFC 3986 forbids a few ("|", "{", "^" …) that
 * browsers send all the same. False for all else; *out is then undefined. */
bool target_parse(slice raw, bool options, struct target *out);

/* The value of a Host field, white space trimmed: uri-host [":" port] (RFC 9110, 7.2; RFC 3986,
 * 3.2.2). An empty value is valid, a port without a host is not (RFC 9110, 4.2.1). Of the
 * sub-delims ',' is refused, so that a joined pair of fields does not pass for one. */
bool host_valid(slice host);

/* Decodes %XX, and '+' to a space when `plus`. `out` has room for in.len bytes and may be in.ptr
 * itself. Returns the length, or -1 for a malformed escape. %00 decodes to NUL: the caller
 * decides. */
int percent_decode(slice in, char *out, bool plus);

/* The next pair of a query, raw; empty pairs are skipped. `rest` begins as the query and is moved
 * on. `value` is absent (ptr NULL) without '='. False at the end. */
bool query_next(slice *rest, slice *name, slice *value);
