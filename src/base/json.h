#pragma once
/* JSON (RFC 8259), written in one go: commas come by themselves, the nesting is the caller's to
 * keep. A value in an object has a key, which needs no escapes; one in an array has NULL.
 *
 * Text is UTF-8 where it was. A byte that is not part of a character becomes \uf0XX, of the private
 * use area, so that what was there can be told again to the byte. So do the bytes of the control
 * characters U+0080 to U+009F, which a terminal may obey, and those of U+F080 to U+F0FF: whoever
 * reads one of these has one byte before them. */

#include "base/writer.h"

enum { JSON_ESCAPE_MAX = 6 }; /* bytes that one becomes at most: \u00XX, \uf0XX */

struct json {
    struct writer *out;
    bool comma; /* before the next value */
};

/* `bracket` is '{' or '['. */
void json_begin(struct json *j, const char *key, char bracket);

/* '}' or ']'. */
void json_end(struct json *j, char bracket);

/* Absent text (ptr NULL) is null. */
void json_put_text(struct json *j, const char *key, slice text);

void json_put_u64(struct json *j, const char *key, uint64_t v);
void json_put_i64(struct json *j, const char *key, int64_t v);
void json_put_bool(struct json *j, const char *key, bool v);
void json_put_null(struct json *j, const char *key);

/* With so many decimals; negative: as many as tell it, up to 15 digits. What is not finite, which
 * JSON has no number for, is null. */
void json_put_double(struct json *j, const char *key, double v, int decimals);

/* Text or null, from a string or NULL. */
static inline void json_put_string(struct json *j, const char *key, const char *text)
{
    json_put_text(j, key, text ? slice_str(text) : (slice){0});
}
