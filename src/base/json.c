#include "base/json.h"

/* ---- text ---- */

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

/* Length in bytes of the non-ASCII character at the start of `s` if it can be copied unchanged,
 * otherwise 0. Well-formed as RFC 3629, sections 3 and 4, defines it. */
static size_t character(slice s)
{
    static const uint32_t least[] = {[2] = 0xa0, [3] = 0x800, [4] = 0x10000};
    unsigned char c = (unsigned char)s.ptr[0];
    size_t n = c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
    if (n == 0 || n > s.len) return 0;
    uint32_t code = c & 0x7fu >> n;
    for (size_t i = 1; i < n; i++) {
        if ((s.ptr[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (s.ptr[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff, byte = code >= 0xf080 && code <= 0xf0ff;
    return code >= least[n] && code <= 0x10ffff && !surrogate && !byte ? n : 0;
}

/* Number of bytes at the start of `s` that need no escape. */
static size_t plain_run(slice s)
{
    size_t n = 0, more = 1;
    for (; n < s.len && more; n += more) {
        more = is_plain(s.ptr[n]);
        if (!more) more = character(slice_skip(s, n));
    }
    return n;
}

static void put_escape(struct writer *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    writer_char(out, '\\');
    if (c == '"' || c == '\\') {
        writer_char(out, (char)c);
        return;
    }
    writer_put(out, c < 0x80 ? "u00" : "uf0", 3);
    writer_char(out, hex[c >> 4]);
    writer_char(out, hex[c & 15]);
}

static void put_quoted(struct writer *out, slice s)
{
    writer_char(out, '"');
    for (size_t n; s.len; s = slice_skip(s, n)) {
        n = plain_run(s);
        writer_put(out, s.ptr, n);
        if (n == s.len) continue;
        put_escape(out, (unsigned char)s.ptr[n++]);
    }
    writer_char(out, '"');
}

/* ---- values ---- */

static void put_key(struct json *j, const char *key)
{
    if (j->comma) writer_char(j->out, ',');
    j->comma = true;
    if (!key) return;
    writer_char(j->out, '"');
    writer_text(j->out, key);
    writer_put(j->out, "\":", 2);
}

void json_begin(struct json *j, const char *key, char bracket)
{
    put_key(j, key);
    writer_char(j->out, bracket);
    j->comma = false;
}

void json_end(struct json *j, char bracket)
{
    writer_char(j->out, bracket);
    j->comma = true;
}

void json_put_text(struct json *j, const char *key, slice text)
{
    if (!text.ptr) {
        json_put_null(j, key);
        return;
    }
    put_key(j, key);
    put_quoted(j->out, text);
}

void json_put_u64(struct json *j, const char *key, uint64_t v)
{
    put_key(j, key);
    writer_u64(j->out, v);
}

void json_put_i64(struct json *j, const char *key, int64_t v)
{
    put_key(j, key);
    if (v < 0) writer_char(j->out, '-');
    writer_u64(j->out, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void json_put_bool(struct json *j, const char *key, bool v)
{
    put_key(j, key);
    writer_text(j->out, v ? "true" : "false");
}

void json_put_null(struct json *j, const char *key)
{
    put_key(j, key);
    writer_put(j->out, "null", 4);
}

void json_put_double(struct json *j, const char *key, double v, int decimals)
{
    put_key(j, key);
    if (!__builtin_isfinite(v))
        writer_text(j->out, "null");
    else if (decimals < 0)
        writer_printf(j->out, "%.15g", v);
    else
        writer_printf(j->out, "%.*f", decimals, v);
}
