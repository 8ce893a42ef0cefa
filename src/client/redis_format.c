/* Commands in the form in which they are sent. hiredis counts their bytes in an int, and writes
 * behind its memory where that overflows: what is too long does not get there. */

#include "client/redis.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    AROUND = 32,   /* a word: "$" LENGTH CRLF, and CRLF */
    NUMBER = 1024, /* at most, without a width or a precision: 1e308 by %f */
};

/* One more of `len` bytes, of those that a command may have; false if it is too many. */
static bool take(size_t *room, size_t len)
{
    if (*room < AROUND || len > *room - AROUND) return false;
    *room -= len + AROUND;
    return true;
}

static size_t room_first(void)
{
    return INT_MAX - 2 * AROUND;
}

/* ---- words ---- */

static bool are_too_long(size_t n, const torc_slice *words)
{
    size_t room = room_first();
    for (size_t i = 0; i < n; i++)
        if (!take(&room, words[i].len)) return true;
    return false;
}

int redis_format_words(const char *first, size_t n, const torc_slice *words, char **bytes)
{
    if (are_too_long(n, words)) return -2;
    const char **word = calloc(n + 1, sizeof *word);
    size_t *len = calloc(n + 1, sizeof *len);
    int count = 0, result = -1;
    if (word && len) {
        if (first) {
            word[count] = first;
            len[count++] = strlen(first);
        }
        for (size_t i = 0; i < n; i++) {
            word[count] = words[i].ptr;
            len[count++] = words[i].len;
        }
        result = (int)redisFormatCommandArgv(bytes, count, word, len);
    }
    free(word);
    free(len);
    return result;
}

/* ---- formats ---- */

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* Takes the arguments that a format has, as hiredis does. */
struct scan {
    const char *at;
    va_list args;
};

/* A width or a precision. */
static size_t digits(struct scan *s)
{
    size_t n = 0;
    for (; *s->at >= '0' && *s->at <= '9'; s->at++)
        if (n < INT_MAX) n = n * 10 + (size_t)(*s->at - '0');
    return n;
}

static bool skip_integer(struct scan *s)
{
    int longs = 0;
    for (; *s->at == 'l' && longs < 2; s->at++) longs++;
    for (int shorts = 0; *s->at == 'h' && longs == 0 && shorts < 2; s->at++) shorts++;
    if (!is_one_of(*s->at, "diouxX")) return false;
    long long taken = longs == 2   ? va_arg(s->args, long long)
                      : longs == 1 ? va_arg(s->args, long)
                                   : va_arg(s->args, int);
    (void)taken;
    return true;
}

/* What printf makes of a number, at most. False if it is none: hiredis refuses the format. */
static bool scan_number(struct scan *s, size_t *len)
{
    while (is_one_of(*s->at, "#0-+ ")) s->at++;
    *len = NUMBER + digits(s);
    if (*s->at == '.') {
        s->at++;
        *len += digits(s);
    }
    if (!is_one_of(*s->at, "eEfFgGaA")) return skip_integer(s);
    (void)va_arg(s->args, double);
    return true;
}

/* What is put in for a % sign, which s->at is behind. */
static bool scan_argument(struct scan *s, size_t *len)
{
    *len = 1;
    switch (*s->at) {
    case '%': return true;
    case 's': *len = strlen(va_arg(s->args, const char *)); return true;
    case 'b':
        (void)va_arg(s->args, const void *);
        *len = va_arg(s->args, size_t);
        return true;
    default: return scan_number(s, len);
    }
}

static bool is_format_too_long(struct scan *s)
{
    size_t room = room_first(), len;
    for (; *s->at; s->at++) {
        len = 1;
        if (s->at[0] == '%' && s->at[1]) {
            s->at++;
            if (!scan_argument(s, &len)) return false;
        }
        if (!take(&room, len)) return true;
    }
    return false;
}

int redis_format(const char *format, va_list args, char **bytes)
{
    struct scan s = {.at = format};
    va_copy(s.args, args);
    bool too_long = is_format_too_long(&s);
    va_end(s.args);
    return too_long ? -2 : redisvFormatCommand(bytes, format, args);
}
