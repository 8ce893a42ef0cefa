#include "http/fields/field.h"

#include "base/word.h"

const bool field_token_char[256] = {
    ['!'] = true,         ['#'] = true,         ['$'] = true,         ['%'] = true, ['&'] = true,
    ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true, ['.'] = true,
    ['^'] = true,         ['_'] = true,         ['`'] = true,         ['|'] = true, ['~'] = true,
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

bool field_name_valid(slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!field_token_char[(unsigned char)name.ptr[i]]) return false;
    return name.len > 0;
}

/* Whether any of eight bytes may be a control; non-ASCII bytes need a second look. */
static uint64_t maybe_control(const char *p)
{
    uint64_t v = word_load(p);
    return word_below(v, ' ') | word_above_tilde(v);
}

bool field_value_valid(slice value)
{
    size_t i = 0;
    if (value.len - 8 <= 8) { /* most of them: two words, which overlap */
        if (!(maybe_control(value.ptr) | maybe_control(value.ptr + value.len - 8))) return true;
    } else if (value.len > 16) {
        while (value.len - i > 8 && !maybe_control(value.ptr + i)) i += 8;
        if (value.len - i <= 8 && !maybe_control(value.ptr + value.len - 8)) return true;
    }
    for (; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

bool token_list_has(slice list, slice token)
{
    slice member;
    while (slice_cut(&list, ',', &member))
        if (slice_ieq(slice_trim(member), token)) return token.len > 0;
    return false;
}
