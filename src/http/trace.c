#include "http/trace.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

enum {
    KNOWN_FLAGS = 3, /* sampled, and random-trace-id of level 2: others must not be handed on */
    VERSION = 2,     /* digits */
    SPAN = 16,
    FLAGS = 2,
};

/* Cuts off a number of so many digits, which are lower case. */
static bool cut_hex(slice *s, size_t digits, uint64_t *out)
{
    *out = 0;
    if (s->len < digits) return false;
    for (size_t i = 0; i < digits; i++) {
        char c = s->ptr[i];
        bool decimal = c >= '0' && c <= '9';
        if (!decimal && !(c >= 'a' && c <= 'f')) return false;
        *out = *out << 4 | (uint64_t)(decimal ? c - '0' : c - 'a' + 10);
    }
    *s = slice_skip(*s, digits);
    return true;
}

static bool cut_dash(slice *s)
{
    if (s->len == 0 || *s->ptr != '-') return false;
    *s = slice_skip(*s, 1);
    return true;
}

/* Later versions may have more after the flags, behind another dash. */
bool trace_parse(slice s, struct trace *out)
{
    uint64_t version, flags;
    bool ok = cut_hex(&s, VERSION, &version) && cut_dash(&s) && cut_hex(&s, SPAN, &out->id[0]) &&
              cut_hex(&s, SPAN, &out->id[1]) && cut_dash(&s) && cut_hex(&s, SPAN, &out->parent) &&
              cut_dash(&s) && cut_hex(&s, FLAGS, &flags);
    if (!ok || version == 0xff || (s.len && (version == 0 || *s.ptr != '-'))) return false;
    out->flags = (uint8_t)(flags & KNOWN_FLAGS);
    return (out->id[0] || out->id[1]) && out->parent;
}

void trace_format(const struct trace *t, char out[TRACE_PARENT + 1])
{
    snprintf(out, TRACE_PARENT + 1, "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-%02x", t->id[0],
             t->id[1], t->parent, t->flags);
}

bool trace_of(const struct head *h, struct trace *out)
{
    slice found = {NULL, 0};
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!slice_ieq(head_field_name(h, i), SLICE("traceparent"))) continue;
        if (found.ptr) return false;
        found = head_field_value(h, i);
    }
    return found.ptr && trace_parse(found, out);
}

/* SplitMix64 (Steele, Lea, Flood): a state for each thread. Without random bytes from the kernel,
 * which it lacks early after boot alone, it begins with the time and an address. */
uint64_t trace_new_span(void)
{
    static _Thread_local uint64_t state;
    static _Thread_local bool begun;
    uint64_t x;
    if (!begun && getrandom(&state, sizeof state, GRND_NONBLOCK) != (ssize_t)sizeof state)
        state = clock_ns() ^ (uint64_t)(uintptr_t)&state << 20;
    begun = true;
    do {
        x = state += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        x ^= x >> 31;
    } while (x == 0);
    return x;
}
