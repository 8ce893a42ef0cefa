#pragma once
/* URLs of requests to other servers, and references to them (RFC 3986). */

#include "base/slice.h"

enum { URL_MAX = 8192, URL_HOST_MAX = 255 };

/* Slices of the text. */
struct url {
    slice host;   /* host [":" port], as given */
    slice target; /* path and query, from the '/' or '?' on; may be empty */
};

/* A fragment is left out. 0; -EINVAL; -EPROTONOSUPPORT for another scheme than http. */
int url_parse(slice text, struct url *out);

/* Writes where to connect for a host, with its port, as dial() takes it. One text for all that mean
 * the same: case does not matter in names, and 80 is the port of http (RFC 9110, 4.2.3). */
void url_address(slice host, char out[URL_HOST_MAX + 4]);

/* Whether they have the same host and port. */
bool url_same_server(const struct url *a, const struct url *b);

/* Resolves the value of a Location field against the URL of the request (5.2) and writes an
 * absolute URL. Its length, or -EINVAL if it is malformed or does not fit. */
int url_resolve(const struct url *base, slice ref, char *out, size_t size);
