#pragma once
/* Option values as text: numbers, sizes ("16k"), durations ("500ms"); and back, for messages.
 * Surrounding white space, signs and overflow are errors. */

#include "base/clock.h"
#include "base/slice.h"

#include <inttypes.h>
#include <stdio.h>

enum { VALUE_TEXT = 24 }; /* buffer size of value_*_text, NUL included */

struct value_unit {
    slice suffix;
    uint64_t factor;
};

static const struct value_unit value_sizes[] = {
    {SLICE("g"), 1ull << 30},
    {SLICE("m"), 1ull << 20},
    {SLICE("k"), 1ull << 10},
    {SLICE(""), 1},
};

/* In ns. A bare number is not a duration. */
static const struct value_unit value_durations[] = {
    {SLICE("h"), 3600 * NS_PER_S},
    {SLICE("m"), 60 * NS_PER_S},
    {SLICE("s"), NS_PER_S},
    {SLICE("ms"), NS_PER_MS},
};

static inline bool value_times(uint64_t v, uint64_t factor, uint64_t *out)
{
    bool overflows = __builtin_mul_overflow(v, factor, out);
    if (overflows) *out = 0;
    return !overflows;
}

/* False writes 0, and so do the two below. */
static inline bool value_scaled(slice text, const struct value_unit *units, size_t n, uint64_t *out)
{
    uint64_t v;
    slice digits = text;
    *out = 0;
    while (digits.len && (digits.ptr[digits.len - 1] < '0' || digits.ptr[digits.len - 1] > '9'))
        digits.len--;
    slice suffix = slice_skip(text, digits.len);
    for (size_t i = 0; i < n; i++)
        if (slice_ieq(suffix, units[i].suffix))
            return slice_u64(digits, &v) && value_times(v, units[i].factor, out);
    return false;
}

/* "4096", "16k", "1m", "1g"; powers of 1024. */
static inline bool value_size(slice text, uint64_t *bytes)
{
    return value_scaled(text, value_sizes, ARRAY_LEN(value_sizes), bytes);
}

/* "500ms", "10s", "2m", "1h", and "0". */
static inline bool value_duration(slice text, uint64_t *ns)
{
    if (slice_eq(text, SLICE("0"))) {
        *ns = 0;
        return true;
    }
    return value_scaled(text, value_durations, ARRAY_LEN(value_durations), ns);
}

static inline bool value_bool(slice text, bool *out)
{
    *out = slice_eq(text, SLICE("yes"));
    return *out || slice_eq(text, SLICE("no"));
}

/* In the largest unit that divides `v`. */
static inline void value_text(uint64_t v, const struct value_unit *units, size_t n,
                              char out[VALUE_TEXT])
{
    size_t i = 0;
    while (i + 1 < n && (v == 0 || v % units[i].factor)) i++;
    snprintf(out, VALUE_TEXT, "%" PRIu64 "%s", v / units[i].factor, v ? units[i].suffix.ptr : "");
}

static inline void value_size_text(uint64_t bytes, char out[VALUE_TEXT])
{
    value_text(bytes, value_sizes, ARRAY_LEN(value_sizes), out);
}

static inline void value_duration_text(uint64_t ns, char out[VALUE_TEXT])
{
    value_text(ns, value_durations, ARRAY_LEN(value_durations), out);
}
