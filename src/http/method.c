#include "http/method.h"

static const slice names[HTTP_METHODS] = {
    [HTTP_GET] = SLICE("GET"),         [HTTP_HEAD] = SLICE("HEAD"),
    [HTTP_POST] = SLICE("POST"),       [HTTP_PUT] = SLICE("PUT"),
    [HTTP_DELETE] = SLICE("DELETE"),   [HTTP_PATCH] = SLICE("PATCH"),
    [HTTP_OPTIONS] = SLICE("OPTIONS"),
};

slice http_method_name(enum http_method m)
{
    ASSERT((unsigned)m < HTTP_METHODS);
    return names[m];
}

static int if_is(enum http_method m, slice name)
{
    return memcmp(name.ptr, names[m].ptr, names[m].len) == 0 ? (int)m : -1;
}

int http_method_look_up(slice name)
{
    switch (name.len) {
    case 3: return name.ptr[0] == 'G' ? if_is(HTTP_GET, name) : if_is(HTTP_PUT, name);
    case 4: return name.ptr[0] == 'P' ? if_is(HTTP_POST, name) : if_is(HTTP_HEAD, name);
    case 5: return if_is(HTTP_PATCH, name);
    case 6: return if_is(HTTP_DELETE, name);
    case 7: return if_is(HTTP_OPTIONS, name);
    default: return -1;
    }
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
