/* Reads replies of RESP2. hiredis' own reader gives the connection up where arrays are deeper in
 * each other than that version of it has room for, and with it the replies of everybody else.
 *
 * The arrays that are not complete are a stack. What is deeper is passed over, however deep it is,
 * so that the next reply is found: how many elements are left suffices for that. */

#include "client/redis.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 16 * 1024 }; /* bytes of the buffer while it is empty */

/* What one line says, with the text behind it if that has one. */
struct item {
    char type;
    long long n; /* an integer, or how much is announced; -1: nil */
    torc_slice text;
};

/* ---- bytes ---- */

char *redis_reader_room(struct redis_reader *rd, size_t n)
{
    if (rd->at > 0) memmove(rd->bytes, rd->bytes + rd->at, rd->len - rd->at);
    rd->len -= rd->at;
    rd->at = 0;
    if (rd->size - rd->len < n) {
        size_t size = rd->len + n > 2 * rd->size ? rd->len + n : 2 * rd->size;
        char *bytes = realloc(rd->bytes, size);
        if (!bytes) return NULL;
        rd->bytes = bytes;
        rd->size = size;
    }
    return rd->bytes + rd->len;
}

void redis_reader_came(struct redis_reader *rd, size_t n)
{
    rd->len += n;
}

static void free_bytes(struct redis_reader *rd)
{
    free(rd->bytes);
    rd->bytes = NULL;
    rd->size = rd->at = rd->len = rd->seen = 0;
}

void redis_reader_clear(struct redis_reader *rd)
{
    redis_reply_free(rd->root);
    free_bytes(rd);
    *rd = (struct redis_reader){0};
}

/* ---- items ---- */

/* The line that begins at rd->at, without its end. False if it has not come whole. */
static bool find_line(struct redis_reader *rd, torc_slice *line)
{
    const char *at = rd->bytes + rd->at;
    size_t n = rd->len - rd->at, from = rd->seen > 0 ? rd->seen - 1 : 0;
    const char *end = memmem(at + from, n - from, "\r\n", 2);
    rd->seen = end ? 0 : n; /* what has been looked at is not again */
    if (end) *line = (torc_slice){at, (size_t)(end - at)};
    return end != NULL;
}

static bool number(torc_slice digits, long long *out)
{
    bool minus = digits.len > 0 && digits.ptr[0] == '-';
    *out = 0;
    if (digits.len == minus) return false;
    for (size_t i = minus; i < digits.len; i++) {
        int digit = digits.ptr[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(*out, 10, out)) return false;
        if (__builtin_add_overflow(*out, minus ? -digit : digit, out)) return false;
    }
    return true;
}

/* 1; 0 if not all of it has come; -EPROTO. */
static int read_text(struct redis_reader *rd, size_t line, struct item *item)
{
    const char *text = rd->bytes + rd->at + line;
    size_t left = rd->len - rd->at - line, n = (size_t)item->n;
    if (item->n < 0) {
        rd->at += line;
        return 1;
    }
    if (left < 2 || left - 2 < n) return 0;
    if (memcmp(text + n, "\r\n", 2) != 0) return -EPROTO;
    item->text = (torc_slice){text, n};
    rd->at += line + n + 2;
    return 1;
}

/* The next item, which is no more than announced: 1; 0 if not all of it has come; -EPROTO. */
static int read_item(struct redis_reader *rd, struct item *item)
{
    torc_slice line;
    if (rd->at == rd->len) return 0;
    char type = rd->bytes[rd->at];
    if (!memchr("+-:$*", type, 5)) return -EPROTO;
    if (!find_line(rd, &line)) return 0;
    torc_slice rest = {line.ptr + 1, line.len - 1};
    *item = (struct item){.type = type, .text = rest};
    if (type != '+' && type != '-' && !number(rest, &item->n)) return -EPROTO;
    if ((type == '$' || type == '*') && item->n < -1) return -EPROTO;
    if (type == '*' && item->n > INT_MAX) return -EPROTO;
    if (type == '$') return read_text(rd, line.len + 2, item);
    rd->at += line.len + 2;
    return 1;
}

/* ---- replies ---- */

static torc_redis_reply *make(const struct redis_reader *rd, const struct item *item)
{
    bool is_root = !rd->root, is_nil = item->n < 0;
    switch (item->type) {
    case '+': return redis_reply_text(is_root, TORC_REDIS_STATUS, item->text);
    case '-': return redis_reply_text(is_root, TORC_REDIS_ERROR, item->text);
    case ':': return redis_reply_integer(is_root, item->n);
    case '$':
        return is_nil ? redis_reply_nil(is_root)
                      : redis_reply_text(is_root, TORC_REDIS_STRING, item->text);
    default: return is_nil ? redis_reply_nil(is_root) : redis_reply_array(is_root, (size_t)item->n);
    }
}

/* Part of the innermost array from now on, or the root. */
static void place(struct redis_reader *rd, torc_redis_reply *r)
{
    if (rd->root) {
        struct redis_level *in = &rd->level[rd->depth - 1];
        in->array->element[in->filled++] = r;
    } else {
        rd->root = r;
    }
}

/* 0 or -ENOMEM. */
static int take(struct redis_reader *rd, const struct item *item)
{
    bool opens = item->type == '*' && item->n > 0, too_deep = opens && rd->depth == REDIS_DEPTH;
    torc_redis_reply *r = too_deep ? redis_reply_nil(false) : make(rd, item);
    if (!r) return -ENOMEM;
    place(rd, r);
    if (too_deep) {
        rd->root->too_deep = true;
        rd->passing = (uint64_t)item->n;
    } else if (opens) {
        rd->level[rd->depth++] = (struct redis_level){.array = r};
    }
    return 0;
}

static void pass(struct redis_reader *rd, const struct item *item)
{
    rd->passing--;
    if (item->type == '*' && item->n > 0) rd->passing += (uint64_t)item->n;
}

static bool is_complete(struct redis_reader *rd)
{
    if (rd->passing > 0) return false;
    while (rd->depth > 0 && rd->level[rd->depth - 1].filled == rd->level[rd->depth - 1].array->n)
        rd->depth--;
    return rd->depth == 0;
}

int redis_reader_next(struct redis_reader *rd, torc_redis_reply **out)
{
    struct item item;
    int result;
    *out = NULL;
    while ((result = read_item(rd, &item)) > 0) {
        if (rd->passing > 0)
            pass(rd, &item);
        else
            result = take(rd, &item);
        if (result < 0) return result;
        if (!is_complete(rd)) continue;
        *out = rd->root;
        rd->root = NULL;
        return 0;
    }
    if (rd->at == rd->len && rd->size > KEPT) free_bytes(rd);
    return result;
}
