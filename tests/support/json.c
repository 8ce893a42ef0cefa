#include "json.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DEPTH_MAX = 32 };

static const char *value(const char *p, int depth);

static const char *space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static const char *string(const char *p)
{
    for (p++; *p != '"'; p++) {
        if ((unsigned char)*p < ' ') return NULL;
        if (*p != '\\') continue;
        p++;
        if (*p == 'u') {
            for (int i = 1; i <= 4; i++)
                if (!isxdigit((unsigned char)p[i])) return NULL;
            p += 4;
        } else if (!*p || !strchr("\"\\/bfnrt", *p)) {
            return NULL;
        }
    }
    return p + 1;
}

static const char *digits(const char *p)
{
    size_t n = strspn(p, "0123456789");
    return n ? p + n : NULL;
}

static const char *number(const char *p)
{
    if (*p == '-') p++;
    if (p[0] == '0' && isdigit((unsigned char)p[1])) return NULL;
    p = digits(p);
    if (p && *p == '.') p = digits(p + 1);
    if (p && (*p == 'e' || *p == 'E')) {
        p++;
        if (*p == '+' || *p == '-') p++;
        p = digits(p);
    }
    return p;
}

/* An object or an array: its members, up to `end`. */
static const char *members(const char *p, char end, int depth)
{
    p = space(p + 1);
    if (*p == end) return p + 1;
    for (;; p = space(p + 1)) {
        if (end == '}') {
            if (*p != '"' || !(p = string(p))) return NULL;
            p = space(p);
            if (*p++ != ':') return NULL;
        }
        if (!(p = value(p, depth + 1))) return NULL;
        if (*p == end) return p + 1;
        if (*p != ',') return NULL;
    }
}

/* Behind the value and the space around it; NULL where it is not valid. */
static const char *value(const char *p, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    p = space(p);
    if (depth > DEPTH_MAX) return NULL;
    if (*p == '"') {
        p = string(p);
    } else if (*p == '{') {
        p = members(p, '}', depth);
    } else if (*p == '[') {
        p = members(p, ']', depth);
    } else if (*p == '-' || isdigit((unsigned char)*p)) {
        p = number(p);
    } else {
        for (size_t i = 0; i < 3; i++)
            if (strncmp(p, words[i], strlen(words[i])) == 0) return space(p + strlen(words[i]));
        return NULL;
    }
    return p ? space(p) : NULL;
}

bool json_valid(const char *text)
{
    const char *end = value(text, 0);
    return end && !*end;
}

/* The value of that name in an object, or of that index in an array. */
static const char *step(const char *p, const char *name, size_t len)
{
    char kind = *p;
    unsigned long index = 0, want = kind == '[' ? strtoul(name, NULL, 10) : 0;
    if (kind != '{' && kind != '[') return NULL;
    for (p = space(p + 1); *p != ']' && *p != '}'; p = space(p + 1)) {
        bool found = kind == '[' && index++ == want;
        if (kind == '{') {
            const char *end = string(p);
            found = (size_t)(end - p) == len + 2 && memcmp(p + 1, name, len) == 0;
            p = space(end) + 1;
        }
        if (found) return space(p);
        p = value(p, 0);
        if (*p != ',') return NULL;
    }
    return NULL;
}

const char *json_at(const char *text, const char *path)
{
    const char *p = space(text);
    while (p && *path) {
        size_t len = strcspn(path, ".");
        p = step(p, path, len);
        path += len;
        if (*path == '.') path++;
    }
    return p;
}

double json_number(const char *text, const char *path)
{
    const char *p = json_at(text, path);
    if (!p || !number(p)) print_error("no number at %s in %s\n", path, text);
    assert_true(p && number(p));
    return strtod(p, NULL);
}
