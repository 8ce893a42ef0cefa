#include "http/method.h"

static const slice names[HTTP_METHODS] = {
    [HTTP_GET] = SLICE("GET"),           [HTTP_HEAD] = SLICE("HEAD"),
    [HTTP_POST] = SLICE("POST"),         [HTTP_PUT] = SLICE("PUT"),
    [HTTP_DELETE] = SLICE("DELETE"),     [HTTP_PATCH] = SLICE("PATCH"),
    [HTTP_OPTIONS] = SLICE("OPTIONS"),   [HTTP_COPY] = SLICE("COPY"),
    [HTTP_LINK] = SLICE("LINK"),         [HTTP_LOCK] = SLICE("LOCK"),
    [HTTP_MKCOL] = SLICE("MKCOL"),       [HTTP_MOVE] = SLICE("MOVE"),
    [HTTP_PROPFIND] = SLICE("PROPFIND"), [HTTP_PROPPATCH] = SLICE("PROPPATCH"),
    [HTTP_PURGE] = SLICE("PURGE"),       [HTTP_QUERY] = SLICE("QUERY"),
    [HTTP_REPORT] = SLICE("REPORT"),     [HTTP_SEARCH] = SLICE("SEARCH"),
    [HTTP_UNLINK] = SLICE("UNLINK"),     [HTTP_UNLOCK] = SLICE("UNLOCK"),
};

slice http_method_name(enum http_method m)
{
    ASSERT((unsigned)m < HTTP_METHODS);
    return names[m];
}

int http_method_look_up(slice name)
{
    for (int m = 0; m < HTTP_METHODS; m++)
        if (slice_eq(names[m], name)) return m;
    return -1;
}

size_t http_allow(uint32_t methods, char *out, size_t size)
{
    size_t n = 0;
    for (int m = 0; m < HTTP_METHODS; m++) {
        if (!(methods & 1u << m)) continue;
        slice comma = n ? SLICE(", ") : SLICE("");
        ASSERT(comma.len + names[m].len <= size - n);
        memcpy(out + n, comma.ptr, comma.len);
        n += comma.len;
        memcpy(out + n, names[m].ptr, names[m].len);
        n += names[m].len;
    }
    return n;
}
