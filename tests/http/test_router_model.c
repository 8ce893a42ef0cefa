#include "router_check.h"

#include <errno.h>

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
        if (param ? b.len == 0 : !slice_eq(a, b)) return false;
        rank[n++] = param ? 'b' : 'a';
    }
    rank[n] = 0;
    return !s.ptr;
}

static void agrees_with_a_simple_matcher(void **state)
{
    (void)state;
    static const char *const parts[] = {"a", "b", "ab", "longer-than-eight", ":p", ":p"};
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
            slice path = mutate(slice_str(patterns[random_below((uint64_t)n)]), SLICE("/ab:p*r//"));
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
