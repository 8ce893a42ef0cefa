#pragma once
/* A view of bytes owned by somebody else; not NUL-terminated. */

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The public type of the library, declared identically in torc.h, so that nothing is converted at
 * the API boundary. */
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

/* For 8 to 16 bytes: two overlapping words, faster than a call of memcmp. */
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

/* ASCII case-insensitive, as field names and most tokens are (RFC 9110, 5.1). Unlike strncasecmp,
 * it ignores the locale and does not stop at a NUL. */
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
    if (n == 0) return s; /* NULL + 0 is undefined in C */
    return (slice){s.ptr + n, s.len - n};
}

/* Strips optional white space (SP and HTAB; RFC 9110, 5.6.3) at both ends. */
static inline slice slice_trim(slice s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = slice_skip(s, 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
    return s;
}

/* Moves the part before the first `sep` from `rest` to `part` and drops the separator. False, with
 * an absent part, once `rest` is used up; an empty part counts. */
static inline bool slice_cut(slice *rest, char sep, slice *part)
{
    if (!rest->ptr) {
        *part = (slice){NULL, 0};
        return false;
    }
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

/* Copies `n` bytes and returns the end of the copy. Most names and values are so short that a call
 * of memcpy would take longer than the copy. */
static inline char *slice_copy(char *to, const char *from, size_t n)
{
    if (n - 8 <= 8) { /* 8 to 16 bytes: two overlapping words */
        uint64_t head, tail;
        memcpy(&head, from, 8);
        memcpy(&tail, from + (n - 8), 8);
        memcpy(to, &head, 8);
        memcpy(to + (n - 8), &tail, 8);
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

/* Decimal digits only: no sign, no white space, no overflow. False writes 0. */
static inline bool slice_u64(slice s, uint64_t *out)
{
    uint64_t v = 0;
    *out = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *out = v;
    return true;
}
