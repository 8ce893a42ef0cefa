#pragma once
/* JSON writer (RFC 8259). It inserts commas; the caller keeps the nesting right. A value in an
 * object has a key, which must not need escapes; a value in an array has key NULL.
 *
 * Text is expected to be UTF-8. A byte that is not part of a valid character becomes \uf0XX, in the
 * private use area, so that a reader can recover the exact bytes. The same happens to the bytes of
 * U+0080 to U+009F, control characters that a terminal may obey, and of U+F080 to U+F0FF, so that
 * every \uf0XX in the output stands for exactly one byte. */

#include "base/writer.h"

enum { JSON_ESCAPE_MAX = 6 }; /* output bytes per input byte at most: \u00XX, \uf0XX */

struct json {
    struct writer *out;
    bool comma; /* needed before the next value */
};

/* `bracket` is '{' or '['. */
void json_begin(struct json *j, const char *key, char bracket);

/* '}' or ']'. */
void json_end(struct json *j, char bracket);

/* null if text.ptr is NULL. */
void json_put_text(struct json *j, const char *key, slice text);

void json_put_u64(struct json *j, const char *key, uint64_t v);
void json_put_i64(struct json *j, const char *key, int64_t v);
void json_put_bool(struct json *j, const char *key, bool v);
void json_put_null(struct json *j, const char *key);

/* `decimals` digits after the point; negative: as many as needed, up to 15 significant digits.
 * Infinity and NaN have no JSON number and become null. */
void json_put_double(struct json *j, const char *key, double v, int decimals);

/* null if `text` is NULL. */
static inline void json_put_string(struct json *j, const char *key, const char *text)
{
    json_put_text(j, key, text ? slice_str(text) : (slice){0});
}
