#include "http/fields/json_text.h"

/* The bytes of a well-formed character after its first one: their number, and the bounds of the
 * next one (RFC 3629, 4). */
struct lead {
    unsigned char more, low, high;
};

static struct lead lead_of(unsigned char c)
{
    if (c >= 0xc2 && c <= 0xdf) return (struct lead){1, 0x80, 0xbf};
    if (c == 0xe0) return (struct lead){2, 0xa0, 0xbf};
    if (c == 0xed) return (struct lead){2, 0x80, 0x9f}; /* no surrogates */
    if (c >= 0xe1 && c <= 0xef) return (struct lead){2, 0x80, 0xbf};
    if (c == 0xf0) return (struct lead){3, 0x90, 0xbf};
    if (c >= 0xf1 && c <= 0xf3) return (struct lead){3, 0x80, 0xbf};
    if (c == 0xf4) return (struct lead){3, 0x80, 0x8f};
    return (struct lead){0};
}

/* The length of the character at the start of `s`, or of what there is of it; *well: it is
 * whole. */
static size_t char_length(slice s, bool *well)
{
    struct lead lead = lead_of((unsigned char)s.ptr[0]);
    size_t n = 1;
    for (; n <= lead.more && n < s.len; n++) {
        unsigned char c = (unsigned char)s.ptr[n];
        unsigned char low = n == 1 ? lead.low : 0x80, high = n == 1 ? lead.high : 0xbf;
        if (c < low || c > high) break;
    }
    *well = lead.more > 0 && n == lead.more + 1u;
    return n;
}

/* The letter of a short escape, or 0. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\': return c;
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 0;
    }
}

static const char replacement[] = "\xef\xbf\xbd";

/* What stands for the start of `text`, in `room` if it has to be formed; *used is the length of
 * that start. */
static slice piece_of(slice text, char room[6], size_t *used)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)text.ptr[0];
    bool well;
    *used = 1;
    if (c >= 0x80) {
        *used = char_length(text, &well);
        return well ? slice_of(text.ptr, *used) : slice_of(replacement, 3);
    }
    char letter = short_escape((char)c);
    if (letter) {
        room[0] = '\\';
        room[1] = letter;
        return slice_of(room, 2);
    }
    if (c >= ' ') return slice_of(text.ptr, 1);
    memcpy(room, "\\u00", 4);
    room[4] = hex[c >> 4];
    room[5] = hex[c & 15];
    return slice_of(room, 6);
}

size_t json_text_size(slice text)
{
    char room[6];
    size_t n = 2;
    for (size_t used; text.len; text = slice_skip(text, used)) n += piece_of(text, room, &used).len;
    return n;
}

char *json_text_put(char *to, slice text)
{
    char room[6];
    *to++ = '"';
    for (size_t used; text.len; text = slice_skip(text, used)) {
        slice piece = piece_of(text, room, &used);
        to = slice_copy(to, piece.ptr, piece.len);
    }
    *to++ = '"';
    return to;
}
