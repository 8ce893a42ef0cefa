#pragma once
/* A JSON writer (RFC 8259). It places the commas; the caller keeps the nesting right. A value in an
 * object has a key, which must need no escapes; a value in an array has NULL.
 *
 * Valid UTF-8 is kept. Any other byte becomes \uf0XX, in the private use area, so that a reader can
 * recover the original bytes. So do the bytes of U+0080 to U+009F, control characters that a
 * terminal may act on, and of U+F080 to U+F0FF, so that these always stand for a single byte. */

#include "base/writer.h"

enum { JSON_ESCAPE_MAX = 6 }; /* bytes that one byte of text becomes at most: \u00XX, \uf0XX */

struct json {
    struct writer *out;
    bool comma; /* the next value needs one before it */
};

/* Begins an object or array; `bracket` is '{' or '['. */
void json_begin(struct json *j, const char *key, char bracket);

/* Ends it; `bracket` is '}' or ']'. */
void json_end(struct json *j, char bracket);

/* An absent slice (ptr NULL) becomes null. */
void json_put_text(struct json *j, const char *key, slice text);

void json_put_u64(struct json *j, const char *key, uint64_t v);
void json_put_i64(struct json *j, const char *key, int64_t v);
void json_put_bool(struct json *j, const char *key, bool v);
void json_put_null(struct json *j, const char *key);

/* With this many decimals; negative for as many as needed, up to 15 digits in all. Infinities and
 * NaN, which JSON cannot represent, become null. */
void json_put_double(struct json *j, const char *key, double v, int decimals);

/* A NUL-terminated string; NULL becomes null. */
static inline void json_put_string(struct json *j, const char *key, const char *text)
{
    json_put_text(j, key, text ? slice_str(text) : (slice){0});
}
