#include "router_check.h"

#include <ctype.h>
#include <errno.h>

/* Whether two segments are the same once every escape of a letter or digit is decoded. */
static bool same_segment(slice a, slice b)
{
    slice side[] = {a, b};
    char text[2][3 * MUTATE_MAX];
    size_t n[] = {0, 0};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < side[k].len; i++) {
            char c = side[k].ptr[i], hex[3] = "";
            if (c == '%' && side[k].len - i > 2 && isxdigit((unsigned char)side[k].ptr[i + 1]) &&
                isxdigit((unsigned char)side[k].ptr[i + 2])) {
                memcpy(hex, side[k].ptr + i + 1, 2);
                int byte = (int)strtol(hex, NULL, 16);
                if (byte < 128 && (isalnum(byte) || (byte && strchr("-._~", byte))))
                    n[k] += (size_t)sprintf(text[k] + n[k], "%c", byte);
                else
                    n[k] += (size_t)sprintf(text[k] + n[k], "%%%02X", (unsigned)byte);
                i += 2;
            } else {
                text[k][n[k]++] = c;
            }
        }
    }
    return slice_eq(slice_of(text[0], n[0]), slice_of(text[1], n[1]));
}

/* The path with some of its bytes escaped. */
static slice escape_some(slice path)
{
    char text[3 * MUTATE_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (i == 0 || path.ptr[i] == '/' || random_below(4))
            text[n++] = path.ptr[i];
        else
            n += (size_t)sprintf(text + n, random_below(2) ? "%%%02x" : "%%%02X",
                                 (unsigned)(unsigned char)path.ptr[i]);
    }
    free((char *)(uintptr_t)path.ptr);
    return exact(slice_of(text, n));
}

/* A slow and simple matcher to compare with: whether `pattern` matches, and its rank as a string
 * with one letter per segment; lower strings take precedence. */
static bool matches(slice pattern, slice path, char rank[ROUTE_SEGMENTS + 1])
{
    slice p = slice_skip(pattern, 1), s = slice_skip(path, 1), a, b;
    size_t n = 0;
    while (slice_cut(&p, '/', &a)) {
        if (a.len && a.ptr[0] == '*') {
            if (!s.ptr) return false;
            rank[n++] = 'c';
            rank[n] = 0;
            return true;
        }
        if (!slice_cut(&s, '/', &b)) return false;
        bool param = a.len && a.ptr[0] == ':';
        if (param ? b.len == 0 : !same_segment(a, b)) return false;
        rank[n++] = param ? 'b' : 'a';
    }
    rank[n] = 0;
    return !s.ptr;
}

static void agrees_with_a_simple_matcher(void **state)
{
    (void)state;
    static const char *const parts[] = {"a",  "b",  "ab",   "longer-than-eight",
                                        ":p", ":p", "%61b", "b%2Fa"};
    for (int round = 0; round < 300; round++) {
        struct router *r = router_new();
        char patterns[40][128];
        enum http_method method[40];
        int n = 0;
        for (int tries = 0; tries < 40; tries++) {
            char *p = patterns[n];
            size_t at = 0;
            for (uint64_t k = random_below(4), i = 0; i <= k; i++) {
                const char *part = parts[random_below(ARRAY_LEN(parts))];
                if (i == k && random_below(4) == 0) part = random_below(2) ? "" : "*r";
                at += (size_t)sprintf(p + at, part[0] == ':' ? "/%s%d" : "/%s", part, (int)i);
            }
            method[n] = random_below(2) ? HTTP_GET : HTTP_POST;
            int rc = router_add(r, method[n], slice_str(p), handler, p, NULL);
            assert_true(rc == 0 || rc == -EEXIST || rc == -EINVAL);
            n += rc == 0;
        }
        if (round & 1) router_freeze(r);
        for (int i = 0; i < 300; i++) {
            slice path =
                mutate(slice_str(patterns[random_below((uint64_t)n)]), SLICE("/ab:p*r//%"));
            if (random_below(2)) path = escape_some(path);
            enum http_method m = random_below(2) ? HTTP_GET : HTTP_POST;
            char best[ROUTE_SEGMENTS + 1] = "~", rank[ROUTE_SEGMENTS + 1];
            const char *want = NULL;
            uint32_t known = 0; /* methods of the path */
            bool exists =
                false; /* a pattern matches that is no catch-all, or one with the method */
            for (int k = 0; k < n && path.len && path.ptr[0] == '/'; k++) {
                if (!matches(slice_str(patterns[k]), path, rank)) continue;
                known |= 1u << method[k];
                exists |= method[k] == m || !strchr(rank, 'c');
                if (method[k] != m || strcmp(rank, best) >= 0) continue;
                strcpy(best, rank);
                want = patterns[k];
            }
            struct route_match match;
            bool found = router_find(r, m, path, &match);
            assert_int_equal(found, exists);
            if (found) assert_ptr_equal(match.route ? match.route->arg : NULL, want);
            if (found && !want)
                assert_int_equal(match.allow & (1u << HTTP_GET | 1u << HTTP_POST), known);
            for (uint32_t k = 0; found && k < match.n; k++)
                assert_true(inside(match.param[k].value, path));
            free((char *)path.ptr);
        }
        router_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_a_simple_matcher)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
