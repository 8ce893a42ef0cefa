#include "files/cache.h"
#include "files/static.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { TTL = 1000, NOW = 5000 };

static struct file_cache cache;

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* A file with this many versions, each with its own descriptor; returns a reference. */
static struct static_file *make(const char *path, int versions)
{
    struct static_source source[VERSIONS_MAX];
    for (int i = 0; i < versions; i++) {
        source[i] = (struct static_source){.fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
                                           .coding = i ? &static_codings[i - 1] : NULL,
                                           .size = 10,
                                           .modified = {100, 5}};
        assert_true(source[i].fd >= 0);
    }
    struct static_file *f =
        static_file_new(slice_str(path), slice_str(path), source, versions, 200);
    assert_non_null(f);
    return f;
}

/* Adds a file that only the cache holds; returns its first descriptor. */
static int put(const char *path, int versions, uint64_t seen)
{
    struct static_file *f = make(path, versions);
    int fd = f->version[0].fd;
    file_cache_add(&cache, f, seen);
    static_file_release(f);
    return fd;
}

static bool has(const char *path, uint64_t now)
{
    struct static_file *f = file_cache_find(&cache, 0, slice_str(path), now);
    if (!f) return false;
    assert_true(slice_eq(f->path, slice_str(path)));
    static_file_release(f);
    return true;
}

static void start(uint32_t max_open, uint64_t ttl)
{
    assert_int_equal(file_cache_init(&cache, max_open, ttl), 0);
}

static int end(void **state)
{
    (void)state;
    file_cache_clear(&cache);
    file_cache_free(&cache);
    return 0;
}

static void finds_added_files(void **state)
{
    (void)state;
    start(8, TTL);
    assert_false(has("a", NOW));
    int a = put("a", 1, NOW), b = put("", 1, NOW);
    assert_true(has("a", NOW));
    assert_true(has("", NOW));
    assert_false(has("A", NOW));
    assert_false(has("a/", NOW));
    file_cache_clear(&cache);
    assert_false(is_open(a) || is_open(b));
    assert_false(has("a", NOW));
}

/* The same path below two directories is two files. */
static void tells_directories_apart(void **state)
{
    (void)state;
    start(8, TTL);
    int fd[2];
    for (uint64_t dir = 0; dir < 2; dir++) {
        struct static_file *f = make("a", 1);
        f->dir = dir;
        fd[dir] = f->version[0].fd;
        file_cache_add(&cache, f, NOW);
        static_file_release(f);
    }
    for (uint64_t dir = 0; dir < 2; dir++) {
        struct static_file *f = file_cache_find(&cache, dir, SLICE("a"), NOW);
        assert_non_null(f);
        assert_int_equal(f->version[0].fd, fd[dir]);
        static_file_release(f);
    }
    assert_null(file_cache_find(&cache, 2, SLICE("a"), NOW));
}

static void expires(void **state)
{
    (void)state;
    start(8, TTL);
    int a = put("a", 1, NOW), b = put("b", 1, NOW + 10);
    assert_true(has("a", NOW + TTL - 1));
    assert_false(has("a", NOW + TTL));
    assert_false(is_open(a));
    assert_true(has("b", NOW + TTL));

    /* Even if nobody looks it up. */
    assert_int_equal(file_cache_expire(&cache, NOW + TTL + 9), NOW + TTL + 10);
    assert_true(is_open(b));
    assert_true(file_cache_expire(&cache, NOW + TTL + 10) == UINT64_MAX);
    assert_false(is_open(b));
    assert_int_equal(cache.open, 0);
}

static void use_does_not_extend_the_ttl(void **state)
{
    (void)state;
    start(8, TTL);
    put("a", 1, NOW);
    for (int i = 0; i < TTL; i += 100) assert_true(has("a", (uint64_t)(NOW + i)));
    assert_false(has("a", NOW + TTL));
}

static void evicts_the_least_recently_used(void **state)
{
    (void)state;
    start(3, TTL);
    int a = put("a", 1, NOW), b = put("b", 1, NOW), c = put("c", 1, NOW);
    assert_true(has("a", NOW));
    put("d", 1, NOW);
    assert_false(is_open(b));
    assert_false(has("b", NOW));
    assert_true(is_open(a) && is_open(c));
    assert_true(file_cache_evict(&cache));
    assert_false(is_open(c));
    assert_true(file_cache_evict(&cache));
    assert_false(is_open(a));
    assert_true(has("d", NOW));
    assert_true(file_cache_evict(&cache));
    assert_false(file_cache_evict(&cache));
    assert_int_equal(cache.open, 0);
}

static void variants_count_as_open_files(void **state)
{
    (void)state;
    start(4, TTL);
    put("a", 3, NOW);
    put("b", 1, NOW);
    assert_int_equal(cache.open, 4);
    put("c", 2, NOW);
    assert_int_equal(cache.open, 3);
    assert_false(has("a", NOW));
    put("d", 4, NOW);
    assert_int_equal(cache.open, 4);
    assert_false(has("b", NOW) || has("c", NOW));
}

static void file_larger_than_the_cache(void **state)
{
    (void)state;
    start(2, TTL);
    put("a", 1, NOW);
    int fd = put("b", 3, NOW);
    assert_false(is_open(fd));
    assert_false(has("b", NOW));
    assert_true(has("a", NOW));
}

static void a_file_in_use_stays_open(void **state)
{
    (void)state;
    start(1, TTL);
    put("a", 1, NOW);
    struct static_file *first = file_cache_find(&cache, 0, SLICE("a"), NOW);
    struct static_file *again = file_cache_find(&cache, 0, SLICE("a"), NOW);
    assert_ptr_equal(first, again);
    int fd = first->version[0].fd;
    put("b", 1, NOW);
    assert_false(has("a", NOW));
    assert_true(is_open(fd));
    static_file_release(first);
    assert_true(is_open(fd));
    static_file_release(again);
    assert_false(is_open(fd));
}

static void adding_replaces_the_same_path(void **state)
{
    (void)state;
    start(4, TTL);
    int old = put("a", 2, NOW), new = put("a", 1, NOW + 50);
    assert_false(is_open(old));
    assert_true(is_open(new));
    assert_int_equal(cache.open, 1);
    assert_true(has("a", NOW + TTL));
}

static void off(void **state)
{
    (void)state;
    const struct {
        uint32_t max;
        uint64_t ttl;
    } offs[] = {{0, TTL}, {8, 0}};
    for (size_t i = 0; i < ARRAY_LEN(offs); i++) {
        start(offs[i].max, offs[i].ttl);
        int fd = put("a", 1, NOW);
        assert_false(is_open(fd));
        assert_false(has("a", NOW));
        assert_false(file_cache_evict(&cache));
        assert_true(file_cache_expire(&cache, NOW) == UINT64_MAX);
        file_cache_free(&cache);
    }
    start(1, 1);
}

/* Compared with a list of the expected entries, with paths that share buckets. */
static void many(void **state)
{
    (void)state;
    enum { PATHS = 40, MAX = 16, STEPS = 20000 };
    uint64_t used[PATHS] = {0}, seen[PATHS];
    bool in[PATHS] = {false};
    uint64_t now = NOW, random = 1;
    start(MAX, TTL);
    for (int step = 1; step <= STEPS; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(random >> 33) % PATHS;
        char path[8];
        snprintf(path, sizeof path, "p%u", i);
        now += (random >> 60);
        for (int k = 0; k < PATHS; k++) in[k] &= now < seen[k] + TTL;
        file_cache_expire(&cache, now);
        if (has(path, now) != in[i]) fail_msg("step %d: %s is wrong", step, path);
        if (!in[i]) {
            int n = 0, oldest = -1;
            for (int k = 0; k < PATHS; k++) {
                n += in[k];
                if (in[k] && (oldest < 0 || used[k] < used[oldest])) oldest = k;
            }
            if (n == MAX) in[oldest] = false;
            put(path, 1, now);
            in[i] = true;
            seen[i] = now;
        }
        used[i] = (uint64_t)step;
        assert_true(cache.open <= MAX);
    }
}

static void versions_have_their_fields(void **state)
{
    (void)state;
    start(1, TTL);
    struct static_file *f = make("dir/a.css", 4);
    const struct static_version *v = &f->version[0];
    assert_int_equal(v->fields_len, strlen(v->fields));
    assert_string_equal(v->fields, "ETag: \"174876e805-a\"\r\n"
                                   "Last-Modified: Thu, 01 Jan 1970 00:01:40 GMT\r\n"
                                   "Vary: Accept-Encoding\r\n"
                                   "Accept-Ranges: bytes\r\n"
                                   "Content-Type: text/css; charset=utf-8\r\n");
    assert_true(slice_eq(v->etag, SLICE("\"174876e805-a\"")));
    assert_string_equal(v->fields + v->validators_len, strstr(v->fields, "Accept-Ranges"));
    assert_string_equal(v->fields + v->ranges_len, strstr(v->fields, "Content-Type"));
    static const char *const codings[] = {"br", "zstd", "gzip"};
    static const char *const tags[] = {"\"174876e805-a-br\"", "\"174876e805-a-zst\"",
                                       "\"174876e805-a-gz\""};
    for (int i = 0; i < 3; i++) {
        char line[64];
        snprintf(line, sizeof line, "Content-Encoding: %s\r\nContent-Type: text/css", codings[i]);
        assert_ptr_equal(strstr(v[1 + i].fields, line), v[1 + i].fields + v[1 + i].ranges_len);
        assert_true(slice_eq(v[1 + i].etag, slice_str(tags[i])));
        assert_true(slice_eq(f->codings[i], slice_str(codings[i])));
    }
    static_file_release(f);
}

/* A file's time may be anything; the response states a time that is in the past and representable.
 * The longest lines fit. */
static void times_and_sizes_at_the_edges(void **state)
{
    (void)state;
    start(1, TTL);
    const struct {
        int64_t sec;
        const char *date;
    } times[] = {
        {INT64_MIN, "Thu, 01 Jan 1970 00:00:00 GMT"}, {-1, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {1000, "Thu, 01 Jan 1970 00:16:40 GMT"},      {1001, "Thu, 01 Jan 1970 00:16:40 GMT"},
        {INT64_MAX, "Thu, 01 Jan 1970 00:16:40 GMT"},
    };
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct static_source source[2] = {
            {open("/dev/null", O_RDONLY), NULL, UINT64_MAX, {times[i].sec, 999999999}},
            {open("/dev/null", O_RDONLY), &static_codings[1], UINT64_MAX, {times[i].sec, 0}},
        };
        slice name = SLICE("a.pptx"); /* has the longest media type */
        struct static_file *f = static_file_new(name, name, source, 2, 1000);
        char *date = strstr(f->version[1].fields, "Last-Modified: ");
        assert_non_null(date);
        assert_memory_equal(date + 15, times[i].date, 29);
        assert_true(f->version[1].modified >= 0 && f->version[1].modified <= 1000);
        static_file_release(f);
    }
}

/* By a user who is not root. */
static int check_as_user(const char *dir)
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0) _exit(1);
        int err = static_check(dir);
        _exit(err == 0 ? 0 : err == -EACCES ? 2 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

/* One that may be opened, but has nothing to give. */
static void a_directory_that_may_not_be_searched(void **state)
{
    char dir[] = "/tmp/torc-test-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(check_as_user(dir), 0);
    assert_int_equal(chmod(dir, 0600), 0);
    assert_int_equal(check_as_user(dir), 2);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(static_check(dir), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(finds_added_files, end),
        cmocka_unit_test_teardown(tells_directories_apart, end),
        cmocka_unit_test_teardown(expires, end),
        cmocka_unit_test_teardown(use_does_not_extend_the_ttl, end),
        cmocka_unit_test_teardown(evicts_the_least_recently_used, end),
        cmocka_unit_test_teardown(variants_count_as_open_files, end),
        cmocka_unit_test_teardown(file_larger_than_the_cache, end),
        cmocka_unit_test_teardown(a_file_in_use_stays_open, end),
        cmocka_unit_test_teardown(adding_replaces_the_same_path, end),
        cmocka_unit_test_teardown(off, end),
        cmocka_unit_test_teardown(many, end),
        cmocka_unit_test_teardown(versions_have_their_fields, end),
        cmocka_unit_test_teardown(times_and_sizes_at_the_edges, end),
        cmocka_unit_test(a_directory_that_may_not_be_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
