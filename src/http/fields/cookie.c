#include "http/fields/cookie.h"

bool cookie_next(slice *rest, slice *name, slice *value)
{
    for (slice pair; slice_cut(rest, ';', &pair);) {
        slice_cut(&pair, '=', name);
        *name = slice_trim(*name);
        *value = slice_trim(pair);
        if (pair.ptr && name->len) return true;
    }
    return false;
}

/* cookie-octet: no controls, white space, '"', ',', ';' or '\'. */
static bool is_octet(char c)
{
    return c > ' ' && c <= '~' && c != '"' && c != ',' && c != ';' && c != '\\';
}

bool cookie_value_valid(slice value)
{
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        value = slice_of(value.ptr + 1, value.len - 2);
    for (size_t i = 0; i < value.len; i++)
        if (!is_octet(value.ptr[i])) return false;
    return true;
}

bool cookie_attribute_valid(slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < ' ' || value.ptr[i] > '~' || value.ptr[i] == ';') return false;
    return true;
}
