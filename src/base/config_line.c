#include "base/config_line.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* Among others a CR that ends no line: what follows it could be meant as a line of its own. */
static bool has_control(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (is_control(text.ptr[i])) return true;
    return false;
}

/* Bytes before the comment. It begins with '#' at the start of a line or after white space. */
static size_t comment_at(slice line)
{
    size_t i = 0;
    while (i < line.len && !(line.ptr[i] == '#' && (i == 0 || is_blank(line.ptr[i - 1])))) i++;
    return i;
}

/* ---- reading ---- */

/* The byte that the text after a backslash stands for, or 0. Moves *at past it. */
static char read_escape(const char **at)
{
    static const char digits[] = "0123456789abcdef";
    char c = *(*at)++;
    if (c == '\\' || c == '"') return c;
    unsigned v = 0;
    for (int i = 0; c == 'x' && i < 2; i++) {
        const char *digit = **at ? strchr(digits, **at | 0x20) : NULL;
        if (!digit) return 0;
        v = v * 16 + (unsigned)(digit - digits);
        (*at)++;
    }
    return (char)v;
}

/* `value` follows the quote, and is written over. */
static const char *unquote(char *value)
{
    char *to = value;
    const char *at = value;
    while (*at && *at != '"') {
        char c = *at++;
        if (c == '\\') c = read_escape(&at);
        if (!c) return "in quotes, a backslash takes \\, \" or x and two hexadecimal digits";
        *to++ = c;
    }
    if (!*at) return "a value that begins with \" ends with \"";
    slice rest = slice_str(at + 1);
    if (slice_trim(slice_of(rest.ptr, comment_at(rest))).len || *rest.ptr == '#')
        return "after a value in quotes, there may only be a comment";
    *to = '\0';
    return NULL;
}

const char *config_line_split(char *line, slice *name, char **value)
{
    slice rest = slice_str(line);
    *value = NULL;
    if (has_control(rest)) return "a line may have no control characters";
    rest.len = comment_at(rest);
    char *equals = memchr(line, '=', rest.len);
    *name = slice_trim(equals ? slice_of(line, (size_t)(equals - line)) : rest);
    if (!equals) return NULL;
    *value = equals + 1 + strspn(equals + 1, " \t");
    if (**value == '"') return unquote(++*value);
    slice bare = slice_trim(slice_of(equals + 1, (size_t)(line + rest.len - (equals + 1))));
    *value = (char *)(uintptr_t)bare.ptr;
    (*value)[bare.len] = '\0';
    return NULL;
}

/* ---- writing ---- */

bool config_value_quoted(slice value)
{
    return value.len == 0 || *value.ptr == '"' || slice_trim(value).len != value.len ||
           comment_at(value) != value.len || has_control(value);
}

size_t config_value_put(slice value, char *out)
{
    static const char digits[] = "0123456789abcdef";
    bool quoted = config_value_quoted(value);
    char *at = out;
    if (quoted) *at++ = '"';
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        bool coded = quoted && is_control(c);
        if (coded || (quoted && (c == '"' || c == '\\'))) *at++ = '\\';
        if (coded) {
            *at++ = 'x';
            *at++ = digits[(unsigned char)c >> 4];
            c = digits[c & 15];
        }
        *at++ = c;
    }
    if (quoted) *at++ = '"';
    *at = '\0';
    return (size_t)(at - out);
}
