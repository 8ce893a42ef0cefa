/* What commands need a connection of their own, and which may not be used. */

#include "client/redis.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The words of a command as it is sent: "*2\r\n$4\r\nLLEN\r\n$1\r\nk\r\n". */
static bool next_word(const char **at, const char *end, torc_slice *word)
{
    char *text;
    if (*at >= end) return false;
    size_t len = strtoul(*at + 1, &text, 10);
    *word = (torc_slice){text + 2, len};
    *at = word->ptr + len + 2;
    return true;
}

static bool is(torc_slice word, const char *name)
{
    return word.len == strlen(name) && strncasecmp(word.ptr, name, word.len) == 0;
}

static const struct {
    const char *name;
    struct redis_kind kind;
} table[] = {
    {"MULTI", {.refused = true}},
    {"EXEC", {.refused = true}},
    {"DISCARD", {.refused = true}},
    {"WATCH", {.refused = true}},
    {"UNWATCH", {.refused = true}},
    {"SELECT", {.refused = true}},
    {"AUTH", {.refused = true}},
    {"HELLO", {.refused = true}},
    {"RESET", {.refused = true}},
    {"QUIT", {.refused = true}},
    {"MONITOR", {.refused = true}},
    {"SYNC", {.refused = true}},
    {"PSYNC", {.refused = true}},
    {"REPLCONF", {.refused = true}}, /* some have no reply */
    {"READONLY", {.refused = true}},
    {"READWRITE", {.refused = true}},
    {"ASKING", {.refused = true}},
    {"POST", {.refused = true}}, /* as HTTP begins: the server hangs up */
    {"HOST:", {.refused = true}},
    {"SUBSCRIBE", {.refused = true}},
    {"PSUBSCRIBE", {.refused = true}},
    {"SSUBSCRIBE", {.refused = true}},
    {"UNSUBSCRIBE", {.refused = true}},
    {"PUNSUBSCRIBE", {.refused = true}},
    {"SUNSUBSCRIBE", {.refused = true}},
    {"WAIT", {.refused = true}},
    {"WAITAOF", {.refused = true}},
    {"BLPOP", {.blocks = true, .back = BACK_LPUSH}},
    {"BRPOP", {.blocks = true, .back = BACK_RPUSH}},
    {"BLMPOP", {.blocks = true, .back = BACK_LPUSH}},
    {"BLMOVE", {.blocks = true}},
    {"BRPOPLPUSH", {.blocks = true}},
    {"BZPOPMIN", {.blocks = true, .back = BACK_ZADD}},
    {"BZPOPMAX", {.blocks = true, .back = BACK_ZADD}},
    {"BZMPOP", {.blocks = true, .back = BACK_ZADD}},
};

/* Of some commands, that is said of a second word alone. */
static const char *const refused[][2] = {
    {"CLIENT", "NO-EVICT"}, {"CLIENT", "REPLY"},    {"CLIENT", "TRACKING"},
    {"CLIENT", "CACHING"},  {"CLIENT", "NO-TOUCH"}, {"CLIENT", "IMPORT-SOURCE"},
    {"CLIENT", "CAPA"},     {"SCRIPT", "DEBUG"},    {"CLUSTER", "SYNCSLOTS"},
};

static bool is_refused(torc_slice word, const char *at, const char *end)
{
    torc_slice next;
    if (!next_word(&at, end, &next)) return false;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (is(word, refused[i][0]) && is(next, refused[i][1])) return true;
    return false;
}

/* The options come in any order, up to STREAMS, which begins the names of keys. What follows one
 * may be named like another: so many words are passed over. Of an option that is not known here, as
 * of one that is malformed, the server says what it is. */
static bool waits_for_stream(const char *at, const char *end)
{
    torc_slice word;
    while (next_word(&at, end, &word) && !is(word, "STREAMS")) {
        if (is(word, "BLOCK")) return true;
        int values = is(word, "GROUP") ? 2 : is(word, "COUNT") ? 1 : 0;
        while (values > 0 && next_word(&at, end, &word)) values--;
    }
    return false;
}

/* BLMPOP timeout n key... LEFT|RIGHT */
static bool pops_right(const char *at, const char *end)
{
    torc_slice word;
    bool timed = next_word(&at, end, &word);
    if (!timed || !next_word(&at, end, &word)) return false;
    for (long n = strtol(word.ptr, NULL, 10); n >= 0 && next_word(&at, end, &word);) n--;
    return is(word, "RIGHT");
}

struct redis_kind redis_kind_of(const char *bytes, size_t len)
{
    const char *at = memchr(bytes, '\n', len), *end = bytes + len;
    torc_slice word;
    if (!at || (++at, !next_word(&at, end, &word)) || word.len == 0)
        return (struct redis_kind){.refused = true};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct redis_kind kind = table[i].kind;
        if (!is(word, table[i].name)) continue;
        if (is(word, "BLMPOP") && pops_right(at, end)) kind.back = BACK_RPUSH;
        return kind;
    }
    if (is(word, "XREAD") || is(word, "XREADGROUP"))
        return (struct redis_kind){.blocks = waits_for_stream(at, end)};
    return (struct redis_kind){.refused = is_refused(word, at, end)};
}
