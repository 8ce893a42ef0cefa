#pragma once
/* Parses the target of a request (RFC 9112, 3.2), its authority and its query. Slices point into
 * the input or to static memory. */

#include "base/slice.h"

struct target {
    slice path;    /* begins with '/', not decoded; "*" for the asterisk-form */
    slice query;   /* after '?', not decoded; absent (ptr NULL) without one */
    slice host;    /* uri-host [":" port] of the absolute-form; otherwise absent */
    bool asterisk; /* asterisk-form, or the equivalent absolute-form */
};

/* Accepts the origin-form; the absolute-form with http or https, a host and no userinfo (an empty
 * path becomes "/", or the asterisk-form if `options`); and the asterisk-form if `options`. The
 * bytes allowed are 0x21 to 0x7e without '#', which includes some that RFC 3986 forbids but
 * browsers send ("|", "{", "^" …). False for anything else; then *out is undefined. */
bool target_parse(slice raw, bool options, struct target *out);

/* Likewise, not for OPTIONS, of a head that is rejected: target_parse has one caller, where it is
 * inlined. */
bool target_parse_rejected(slice raw, struct target *out);

/* Whether the value of a Host field, trimmed, is valid: uri-host [":" port] (RFC 9110, 7.2; RFC
 * 3986, 3.2.2). Empty is valid; a port without a host is not (RFC 9110, 4.2.1). Of the sub-delims
 * ',' is rejected, so that two fields joined to one do not pass as a host. */
bool host_valid(slice host);

/* The byte that "%XX" at `i`, where there is a '%', stands for; -1 for a malformed escape. */
int percent_byte(slice s, size_t i);

/* Decodes %XX, and '+' to a space if `plus`. `out` has room for in.len bytes and may be in.ptr.
 * Returns the length, or -1 for a malformed escape. %00 decodes to NUL; the caller decides what to
 * do with it. */
int percent_decode(slice in, char *out, bool plus);

/* What is wrong with a part of a path as a name, once it is decoded. */
enum path_fault {
    PATH_FINE,
    PATH_NUL, /* it contains a NUL, which would end a C string early */
    PATH_UP,  /* a segment is "..", which would lead out of a directory */
};

/* A malformed escape is no fault here. */
enum path_fault path_check(slice raw);

/* Writes a path in its normal form (RFC 3986, 6.2.2.1 and 6.2.2.2): escapes of unreserved
 * characters (letters, digits, "-._~") are decoded, the others have upper-case digits; the rest is
 * as it was, a malformed escape, too. `out` has room for raw.len bytes. Returns the length. */
size_t path_normalize(slice raw, char *out);

/* Whether `normal` is the normal form of `raw`. */
bool path_equals(slice raw, slice normal);

/* Iterates over the pairs of a query, not decoded; empty pairs are skipped. `rest` starts as the
 * whole query. `value` is absent (ptr NULL) without '='. False at the end. */
bool query_next(slice *rest, slice *name, slice *value);
