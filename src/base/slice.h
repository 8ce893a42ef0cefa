#pragma once
/* A slice is a view of bytes that somebody else owns; it is not NUL-terminated. */

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* It is the library's public type, which torc.h declares in the same words, so that nothing is
 * converted at the border of the library. */
#ifndef TORC_SLICE
#define TORC_SLICE
typedef struct torc_slice {
    const char *ptr;
    size_t len;
} torc_slice;
#endif

typedef torc_slice slice;

#define SLICE(literal) ((slice){(literal), sizeof(literal) - 1})

static inline slice slice_of(const char *p, size_t n)
{
    return (slice){p, n};
}

static inline slice slice_str(const char *s)
{
    return (slice){s, strlen(s)};
}

/* Of 8 to 16 bytes, as words that overlap: a call of memcmp takes longer. */
static inline bool slice_eq_words(const char *a, const char *b, size_t n)
{
    uint64_t a1, a2, b1, b2;
    memcpy(&a1, a, 8);
    memcpy(&a2, a + n - 8, 8);
    memcpy(&b1, b, 8);
    memcpy(&b2, b + n - 8, 8);
    return ((a1 ^ b1) | (a2 ^ b2)) == 0;
}

static inline bool slice_eq(slice a, slice b)
{
    if (a.len != b.len) return false;
    if (a.len - 8 <= 8) return slice_eq_words(a.ptr, b.ptr, a.len);
    return a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0;
}

static inline unsigned char slice_lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? u | 0x20 : u;
}

/* ASCII case-insensitive, as field names and most tokens are (RFC 9110, 5.1). Not strncasecmp,
 * which knows locales and stops at a NUL. */
static inline bool slice_ieq(slice a, slice b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (slice_lower(a.ptr[i]) != slice_lower(b.ptr[i])) return false;
    return true;
}

static inline bool slice_starts(slice s, slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline slice slice_skip(slice s, size_t n)
{
    DEBUG_ASSERT(n <= s.len);
    if (n == 0) return s; /* C has no NULL + 0 */
    return (slice){s.ptr + n, s.len - n};
}

/* Without the optional white space around it: SP and HTAB (RFC 9110, 5.6.3). */
static inline slice slice_trim(slice s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = slice_skip(s, 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
    return s;
}

/* Splits off what stands before the first `sep` and moves `rest` behind it; false when `rest` is
 * used up. An empty part is a part. */
static inline bool slice_cut(slice *rest, char sep, slice *part)
{
    if (!rest->ptr) return false;
    const char *at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (!at) {
        *part = *rest;
        *rest = (slice){NULL, 0};
        return true;
    }
    *part = slice_of(rest->ptr, (size_t)(at - rest->ptr));
    *rest = slice_of(at + 1, rest->len - part->len - 1);
    return true;
}

/* Copies `n` bytes and returns where they end. For the few bytes that most names and values have, a
 * call of memcpy takes longer than the copying. */
static inline char *slice_copy(char *to, const char *from, size_t n)
{
    if (n - 8 <= 8) { /* 8 to 16: two words that overlap */
        uint64_t head, tail;
        memcpy(&head, from, 8);
        memcpy(&tail, from + n - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + n - 8, &tail, 8);
    } else if (n - 4 < 4) {
        uint32_t head, tail;
        memcpy(&head, from, 4);
        memcpy(&tail, from + n - 4, 4);
        memcpy(to, &head, 4);
        memcpy(to + n - 4, &tail, 4);
    } else if (n) {
        memcpy(to, from, n);
    }
    return to + n;
}

/* Decimal digits only: no sign, no white space, no overflow. False leaves *out alone. */
static inline bool slice_u64(slice s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *out = v;
    return true;
}
