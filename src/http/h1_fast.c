#include "http/h1_fast.h"

#include "base/word.h"
#include "http/fields/field.h"
#include "http/method.h"

static inline bool visible(char c, char first)
{
    return c >= first && c <= '~';
}

/* The first byte that is not VCHAR, or is '#', which no target contains. */
static inline const char *target_end(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t v = word_load(at);
        uint64_t stop = word_below(v, '!') | word_above_tilde(v) | word_equal(v, '#');
        if (stop) return at + word_first(stop);
    }
    while (at < end && visible(*at, '!') && *at != '#') at++;
    return at;
}

/* The first byte that is neither VCHAR nor SP. */
static inline const char *value_end(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t v = word_load(at), stop = word_below(v, ' ') | word_above_tilde(v);
        if (stop) return at + word_first(stop);
    }
    while (at < end && visible(*at, ' ')) at++;
    return at;
}

static inline const char *name_end(const char *at, const char *end)
{
    while (at < end && field_token_char[(unsigned char)*at]) at++;
    return at;
}

/* Whether llhttp interprets the field. */
static bool is_special_field(slice name, slice value)
{
    static const slice others[] = {SLICE("content-length"), SLICE("transfer-encoding"),
                                   SLICE("upgrade"), SLICE("proxy-connection")};
    static const uint32_t lengths = 1u << 7 | 1u << 10 | 1u << 14 | 1u << 16 | 1u << 17;
    if (name.len > 17 || !(lengths >> name.len & 1)) return false;
    if (slice_ieq(name, SLICE("connection"))) return !slice_ieq(value, SLICE("keep-alive"));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (slice_ieq(name, others[i])) return true;
    return false;
}

size_t h1_fast_head(struct head *h, size_t room, slice in)
{
    static const slice method = {"GET /", 5}, version = {" HTTP/1.1\r\n", 11};
    if (in.len > room) in.len = room; /* a longer head would not fit */
    if (in.len < method.len || memcmp(in.ptr, method.ptr, method.len) != 0) return 0;
    const char *end = in.ptr + in.len, *text = in.ptr + method.len - 1;
    const char *at = target_end(text, end);
    if ((size_t)(end - at) < version.len || memcmp(at, version.ptr, version.len) != 0) return 0;
    size_t target_len = (size_t)(at - text), n = 0;

    for (at += version.len; at < end && *at != '\r'; at += 2) {
        const char *name = at, *colon = name_end(at, end);
        if (colon == name || colon == end || *colon != ':' || n == HEAD_OWN_FIELDS) return 0;
        const char *value = colon + 1;
        while (value < end && *value == ' ') value++;
        at = value_end(value, end);
        if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return 0;
        size_t name_len = (size_t)(colon - name), value_len = (size_t)(at - value);
        if (is_special_field(slice_of(name, name_len), slice_of(value, value_len))) return 0;
        h->own_field[n++] = (struct head_field){(uint16_t)(name - text), (uint16_t)name_len,
                                                (uint16_t)(value - text), (uint16_t)value_len};
    }
    if (end - at < 2 || at[1] != '\n') return 0;

    memcpy(h->text, text, (size_t)(at - text));
    h->method_name = slice_of(method.ptr, 3);
    h->method = HTTP_GET;
    h->minor = 1;
    h->target_len = (uint16_t)target_len;
    h->n_fields = (uint16_t)n;
    h->keep_alive = true;
    return (size_t)(at + 2 - in.ptr);
}
