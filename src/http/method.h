#pragma once
/* The methods torc serves (RFC 9110, 9.3; PATCH is RFC 5789). CONNECT and TRACE are not among
 * them; what http_method_of does not know is answered with 501. */

#include "base/slice.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_PATCH,
    HTTP_OPTIONS,
    HTTP_METHODS, /* how many there are */
};

enum { HTTP_ALLOW_MAX = 48 }; /* bytes that http_allow writes at most */

/* Static memory. */
slice http_method_name(enum http_method m);

int http_method_look_up(slice name);

/* An enum http_method, or -1. Case-sensitive (RFC 9110, 9.1). */
static inline int http_method_of(slice name)
{
    if (name.len == 3 && memcmp(name.ptr, "GET", 3) == 0) return HTTP_GET;
    return http_method_look_up(name);
}

/* Writes the value of an Allow field for the methods whose bit (1 << enum) is set, in the order of
 * the enum: "GET, HEAD, OPTIONS". `size` is at least HTTP_ALLOW_MAX, unless fewer methods are known
 * to fit. Returns the length; no NUL. */
size_t http_allow(uint32_t methods, char *out, size_t size);
