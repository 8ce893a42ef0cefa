#pragma once
/* The supported methods: RFC 9110, 9.3; PATCH: RFC 5789; those after OPTIONS: RFC 4918 (WebDAV),
 * RFC 2068, 19.6.1 (LINK, UNLINK), RFC 3253 (REPORT), RFC 5323 (SEARCH), the QUERY method of the
 * HTTP working group, and PURGE, by which caches are told to forget. A server knows of the latter
 * those that it has routes for. All others, CONNECT and TRACE included, are answered with 501. */

#include "base/slice.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_PATCH,
    HTTP_OPTIONS, /* the last one that every server knows */
    HTTP_COPY,
    HTTP_LINK,
    HTTP_LOCK,
    HTTP_MKCOL,
    HTTP_MOVE,
    HTTP_PROPFIND,
    HTTP_PROPPATCH,
    HTTP_PURGE,
    HTTP_QUERY,
    HTTP_REPORT,
    HTTP_SEARCH,
    HTTP_UNLINK,
    HTTP_UNLOCK,
    HTTP_METHODS, /* number of methods */
};

#define HTTP_METHODS_ALL ((1u << HTTP_METHODS) - 1)       /* a bit (1 << enum) for each */
#define HTTP_METHODS_ANY ((1u << (HTTP_OPTIONS + 1)) - 1) /* for those that every server knows */

enum { HTTP_ALLOW_MAX = 144 }; /* most bytes that http_allow writes */

/* Static memory. */
slice http_method_name(enum http_method m);

int http_method_look_up(slice name);

/* An enum http_method, or -1. Case-sensitive (RFC 9110, 9.1). */
static inline int http_method_of(slice name)
{
    if (name.len == 3 && memcmp(name.ptr, "GET", 3) == 0) return HTTP_GET;
    return http_method_look_up(name);
}

/* Writes the value of an Allow field ("GET, HEAD, OPTIONS") for the methods whose bit (1 << enum)
 * is set, in the order of the enum. `size` must be at least HTTP_ALLOW_MAX unless the methods are
 * known to fit. Returns the length; no NUL. */
size_t http_allow(uint32_t methods, char *out, size_t size);
