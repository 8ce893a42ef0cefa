/* Handlers that use files, on the engine in memory: the client resets its connection after each
 * number of turns, so at each wait. No descriptor and no file may be left behind. */

#include "lab_core.h"

#include "files/find.h"
#include "files/static.h"
#include "http/request.h"
#include "http/router.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PIECE = 50 * 1000, PIECES = 4, TURNS_MAX = 1000 };

static char dir[] = "/tmp/torc-test-files-XXXXXX", name[64];
static struct lab_core rig;
static unsigned done; /* handlers that came to their end without an error */

static void uploads(torc_req *rq, void *arg)
{
    torc_file *file;
    int64_t size;
    (void)arg;
    if (torc_file_temp(rq, dir, &file) < 0 || torc_body_file(rq, file, &size) < 0 ||
        torc_file_sync(rq, file) < 0 || torc_file_link(rq, file, name, true) < 0)
        return;
    done++;
    torc_replyf(rq, 201, "%d", (int)size);
}

static void replies(torc_req *rq, void *arg)
{
    (void)arg;
    if (torc_reply_file(rq, dir, TORC_S("file")) == 0) done++;
}

static void sends(torc_req *rq, void *arg)
{
    torc_file *file;
    (void)arg;
    if (torc_file_open(rq, name, &file) < 0 || torc_start(rq, 200, NULL, -1) < 0 ||
        torc_send_file(rq, file, 0, torc_file_size(file)) < 0)
        return;
    done++;
}

static unsigned count_in(const char *path)
{
    unsigned n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static void push(struct mem_client *m, const char *method)
{
    static char body[PIECE];
    char head[128];
    bool puts = strcmp(method, "PUT") == 0;
    int n = snprintf(head, sizeof head, "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                     method, puts ? PIECES * PIECE : 0);
    mem_push(m, head, (size_t)n);
    for (int i = 0; puts && i < PIECES; i++) mem_push(m, body, sizeof body);
}

/* Returns whether the response was complete before the reset. */
static bool reset_after(const char *method, unsigned turns)
{
    struct mem_client *m = mem_connect(&rig.io);
    size_t n;
    push(m, method);
    bool idle = mem_run(&rig.io, turns);
    mem_out(m, &n);
    mem_reset(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
    return idle && n > 0;
}

static void reset_at_each_turn(const char *method, torc_handler *handler)
{
    const struct file_cache_limits limits = {16, 0};
    struct static_files *files = static_open(&limits, 1);
    enum http_method m = (enum http_method)http_method_of(slice_str(method));
    lab_core_open(&rig);
    rig.limits.max_body = PIECES * PIECE;
    rig.http.files = static_core_of(files, 0);
    struct router *router = router_new();
    assert_int_equal(router_add(router, m, SLICE("/"), handler, NULL, NULL), 0);
    router_freeze(router);
    rig.http.router = router;
    mem_configure(&rig.io, &(struct mem_config){
                               .late = true, .share = 1, .pace = 20 * 1000, .patience = NS_PER_MS});
    done = 0;
    unsigned turns = 1, before = count_in("/proc/self/fd");
    while (!reset_after(method, turns) && turns < TURNS_MAX) {
        assert_int_equal(count_in("/proc/self/fd"), before);
        assert_in_range(count_in(dir), 2, 3); /* the file has its name, or there is none */
        turns++;
    }
    assert_in_range(turns, 8,
                    TURNS_MAX - 1); /* the handler has waited often, and once to its end */
    assert_true(done > 0);
    lab_core_close(&rig);
    router_free(router);
    static_close(files);
}

static void an_upload_is_reset(void **state)
{
    (void)state;
    reset_at_each_turn("PUT", uploads);
    assert_int_equal(count_in(dir), 3);
}

static void a_file_reply_is_reset(void **state)
{
    (void)state;
    reset_at_each_turn("GET", replies);
}

static void a_part_of_a_file_is_reset(void **state)
{
    (void)state;
    reset_at_each_turn("GET", sends);
}

/* ---- a sibling fails while a file is sent from memory ---- */

enum { KEPT = 20 * 1000, MAPPED = 200 * 1000, FAILS_LATEST = 30 };

static const char *sent;

static int replies_with_it(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_reply_file(rq, dir, torc_slice_str(sent));
}

/* By then the file has been open for longer than the cache uses it. */
static int fails(torc_req *rq, void *arg)
{
    for (unsigned n = *(unsigned *)arg; n > 0; n--) torc_sleep(rq, 0);
    while (file_cache_evict(&rig.http.files->cache)) continue;
    return -EIO;
}

static void replies_beside(torc_req *rq, void *arg)
{
    torc_group *g = torc_group_open(rq);
    assert_int_equal(torc_spawn(g, replies_with_it, NULL), 0);
    assert_int_equal(torc_spawn(g, fails, arg), 0);
    torc_group_join(g);
}

static void opens_first(torc_req *rq, void *arg)
{
    replies_with_it(rq, arg);
}

/* Whether only the head of a file's response came. */
static bool ask(const char *path)
{
    char head[64];
    size_t n;
    struct mem_client *m = mem_connect(&rig.io);
    int len = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    mem_push(m, head, (size_t)len);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    const char *out = mem_out(m, &n), *body = n ? memmem(out, n, "\r\n\r\n", 4) : NULL;
    bool ok = body && memcmp(out, "HTTP/1.1 200", 12) == 0, cut = ok && body + 4 == out + n;
    for (const char *at = ok ? body + 4 : out + n; at < out + n; at++) assert_int_equal(*at, 'a');
    mem_reset(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
    return cut;
}

static void quick(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("quick"));
}

/* While the response before it is being sent, nothing of this one has left: another can be given.
 */
static void ask_behind(void)
{
    static const char first[] = "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n",
                      next[] = "GET /beside HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    size_t n;
    struct mem_client *m = mem_connect(&rig.io);
    mem_set_window(m, 0);
    mem_push(m, first, sizeof first - 1);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_push(m, next, sizeof next - 1);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_set_window(m, SIZE_MAX);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    const char *out = mem_out(m, &n), *second = memmem(out, n, "quickHTTP/1.1 ", 14);
    assert_non_null(second);
    bool given = memcmp(second + 14, "200 ", 4) == 0;
    assert_true(given || memcmp(second + 14, "500 ", 4) == 0);
    assert_int_equal(out[n - 1], given ? 'a' : '\n');
    mem_push_end(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
}

/* After each number of turns. The file's bytes are gone when the handler has returned. An open that
 * has completed in spite of the cancel begins no response. */
static void fail_beside(const char *file, bool late, size_t pace, bool by_reference)
{
    const struct file_cache_limits limits = {16, 3600 * NS_PER_S};
    struct static_files *files = static_open(&limits, 1);
    unsigned turns = 0;
    sent = file;
    lab_core_open(&rig);
    rig.limits.sendfile_from = by_reference;
    rig.http.files = static_core_of(files, 0);
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), opens_first, NULL, NULL), 0);
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/beside"), replies_beside, &turns, NULL),
                     0);
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/quick"), quick, NULL, NULL), 0);
    router_freeze(router);
    rig.http.router = router;
    mem_configure(&rig.io, &(struct mem_config){.late = late, .pace = pace, .patience = NS_PER_MS});
    for (unsigned i = 0; i < 2 * FAILS_LATEST; i++) {
        turns = i / 2; /* for the second time the directory is open */
        assert_false(ask("/beside"));
        ask("/");
        ask("/");
        assert_false(ask("/beside"));
        ask_behind();
    }
    lab_core_close(&rig);
    router_free(router);
    static_close(files);
}

static void fail_beside_file_of(size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s/letters", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < size; i++) fputc('a', f);
    assert_int_equal(fclose(f), 0);
    for (int i = 0; i < 8; i++) fail_beside("letters", i & 1, i & 2 ? size / 6 : 0, i & 4);
    unlink(path);
}

static void a_sibling_of_a_file_reply_fails(void **state)
{
    (void)state;
    fail_beside_file_of(KEPT);
    fail_beside_file_of(MAPPED);
}

/* ---- a sibling waits for the room that a file reply has ---- */

static const char hint_head[] = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
static bool fails_now;

static int hints(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_hint(rq, TORC_S("</a.css>; rel=preload"));
}

static int fails_then(torc_req *rq, void *arg)
{
    (void)arg;
    while (!fails_now && torc_sleep(rq, 0) == 0) continue;
    return -EIO;
}

static void hints_beside(torc_req *rq, void *arg)
{
    torc_group *before = torc_group_open(rq);
    (void)arg;
    assert_int_equal(torc_spawn(before, hints, NULL), 0);
    torc_sleep(rq, 0);
    torc_group *g = torc_group_open(rq);
    assert_int_equal(torc_spawn(g, replies_with_it, NULL), 0);
    assert_int_equal(torc_spawn(g, fails_then, NULL), 0);
    torc_group_join(g);
    assert_int_equal(torc_group_join(before), 0);
    assert_int_equal(torc_status(rq), 0);
    torc_reply(rq, 200, NULL, TORC_S("other"));
}

/* The file is in memory then. */
static void keep(void)
{
    static const char request[] = "GET /kept HTTP/1.1\r\nHost: a\r\n\r\n";
    struct mem_client *m = mem_connect(&rig.io);
    mem_push(m, request, sizeof request - 1);
    mem_push_end(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_free(&rig.io, m);
}

/* The hint has left, and the file's response behind it is taken back. */
static void take_back_behind_a_hint(bool by_reference)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const struct file_cache_limits limits = {16, 3600 * NS_PER_S};
    struct static_files *files = static_open(&limits, 1);
    size_t n;
    fails_now = false;
    lab_core_open(&rig);
    rig.limits.sendfile_from = by_reference;
    rig.limits.write_buffer = 1;
    rig.http.files = static_core_of(files, 0);
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), hints_beside, NULL, NULL), 0);
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/kept"), opens_first, NULL, NULL), 0);
    router_freeze(router);
    rig.http.router = router;
    mem_configure(&rig.io, &(struct mem_config){.patience = NS_PER_MS});
    for (int i = 0; i < 3; i++) keep();
    struct mem_client *m = mem_connect(&rig.io);
    mem_set_window(m, 0);
    mem_push(m, request, sizeof request - 1);
    mem_run(&rig.io, 100); /* it sleeps all the time */
    mem_set_window(m, sizeof hint_head - 1);
    mem_run(&rig.io, 1);
    mem_set_window(m, 0);
    mem_run(&rig.io, 100);
    fails_now = true;
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_set_window(m, SIZE_MAX);
    mem_push_end(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    const char *out = mem_out(m, &n), *other = memmem(out, n, "\r\n\r\nother", 9);
    assert_memory_equal(out, hint_head, sizeof hint_head - 1);
    assert_ptr_equal(other, out + n - 9);
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
    lab_core_close(&rig);
    router_free(router);
    static_close(files);
}

static void a_hint_behind_which_a_file_is_taken_back(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof path, "%s/zeros", dir);
    int fd = creat(path, 0600);
    assert_int_equal(ftruncate(fd, 3 << 20), 0);
    close(fd);
    sent = "zeros";
    for (int by_reference = 0; by_reference < 2; by_reference++)
        take_back_behind_a_hint(by_reference);
    unlink(path);
}

/* ---- a file reply that is cut while it is sent, behind another response ---- */

static char letters[MAPPED];

static void write_letters(size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s/letters", dir);
    memset(letters, 'a', sizeof letters);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(letters, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    sent = "letters";
}

struct cut {
    size_t size, pace; /* of the file; bytes that leave in a turn, before it is cut */
    bool by_reference, by_deadline, at_once;
    int result; /* of the file reply */
};

static int replies_to_be_cut(torc_req *rq, void *arg)
{
    struct cut *cut = arg;
    cut->result = torc_reply_file(rq, dir, torc_slice_str(sent));
    return cut->result;
}

/* As its deadline would. */
static int expires_then(torc_req *rq, void *arg)
{
    (void)arg;
    while (!fails_now && torc_sleep(rq, 0) == 0) continue;
    scope_cancel(&rq->scope, -ETIME);
    return 0;
}

static void is_cut(torc_req *rq, void *arg)
{
    struct cut *cut = arg;
    torc_group *g = torc_group_open(rq);
    if (cut->by_deadline) {
        assert_int_equal(torc_spawn(g, expires_then, NULL), 0);
        replies_to_be_cut(rq, cut);
    } else {
        assert_int_equal(torc_spawn(g, replies_to_be_cut, cut), 0);
        assert_int_equal(torc_spawn(g, fails_then, NULL), 0);
        torc_group_join(g);
    }
    if (!torc_status(rq)) {
        torc_reply(rq, 200, NULL, TORC_S("other"));
        return;
    }
    assert_int_equal(torc_write(rq, "more", 4), cut->by_deadline ? -ETIME : -EINVAL);
    assert_int_equal(torc_end(rq), -EINVAL);
    assert_int_equal(torc_set_trailer(rq, TORC_S("X-Sum"), TORC_S("1")), -EALREADY);
    assert_int_equal(torc_start(rq, 200, NULL, -1), -EALREADY);
    assert_int_equal(torc_reply(rq, 200, NULL, TORC_S("other")), -EALREADY);
}

static struct router *open_for_cuts(struct static_files *files, struct cut *cut)
{
    lab_core_open(&rig);
    rig.limits.sendfile_from = cut->by_reference;
    rig.http.files = static_core_of(files, 0);
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/kept"), opens_first, NULL, NULL), 0);
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/quick"), quick, NULL, NULL), 0);
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/cut"), is_cut, cut, NULL), 0);
    router_freeze(router);
    rig.http.router = router;
    mem_configure(&rig.io, &(struct mem_config){.patience = NS_PER_MS});
    for (int i = 0; i < 3; i++) keep();
    return router;
}

/* How much of what was sent is the first response, with its head. */
static size_t first_response(const char *out, size_t n)
{
    const char *body = n ? memmem(out, n, "\r\n\r\nquick", 9) : NULL;
    return body ? (size_t)(body + 9 - out) : 0;
}

/* After the client has read for so many turns. How many bytes it has by then. */
static size_t cut_then(struct mem_client *m, size_t pace, unsigned turns)
{
    size_t before;
    fails_now = false;
    mem_set_window(m, 0);
    mem_run(&rig.io, 50); /* a fiber sleeps all the time */
    mem_set_window(m, pace);
    mem_run(&rig.io, turns);
    mem_set_window(m, 0);
    mem_run(&rig.io, 2);
    mem_out(m, &before);
    fails_now = true;
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_set_window(m, SIZE_MAX);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    return before;
}

static size_t cut_after(struct mem_client *m, const struct cut *cut, unsigned turns)
{
    static const char first[] = "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n",
                      next[] = "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n";
    mem_set_window(m, 0);
    mem_push(m, first, sizeof first - 1);
    if (!cut->at_once) mem_run(&rig.io, TURNS_MAX);
    mem_push(m, next, sizeof next - 1);
    return cut_then(m, cut->pace, turns);
}

/* What is before it arrives. Where nothing of it has left the other response does, else the
 * connection ends as one whose client may still send. Whether it does. */
static bool cut_file(struct cut *cut, unsigned turns)
{
    size_t n;
    struct mem_client *m = mem_connect(&rig.io);
    size_t before = cut_after(m, cut, turns);
    const char *out = mem_out(m, &n);
    size_t quick_len = first_response(out, n);
    assert_true(quick_len > 0);
    assert_int_equal(cut->result, cut->by_deadline ? -ETIME : -ECANCELED);
    const char *body = memmem(out + quick_len, n - quick_len, "\r\n\r\n", 4);
    assert_memory_equal(out + quick_len, "HTTP/1.1 200 ", 13);
    assert_non_null(body);
    size_t len = (size_t)(out + n - body) - 4;
    bool other = len == 5 && memcmp(body + 4, "other", 5) == 0;
    assert_true(len < cut->size);
    assert_true(other == (before <= quick_len));
    if (!other) assert_memory_equal(body + 4, letters, len);
    assert_true(mem_ended(m) == !other);
    assert_false(mem_closed(m));
    mem_push_end(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
    return !other;
}

static void a_file_reply_that_is_cut(void **state)
{
    enum { TURNS = 40 };
    const struct file_cache_limits limits = {16, 3600 * NS_PER_S};
    (void)state;
    for (unsigned i = 0; i < 2 * 2 * 2 * 2 * 2; i++) {
        struct static_files *files = static_open(&limits, 1);
        struct cut cut = {.size = i & 1 ? MAPPED : KEPT,
                          .by_reference = i & 2,
                          .by_deadline = i & 4,
                          .at_once = i & 8};
        cut.pace = i & 16 ? cut.size / TURNS : 23;
        unsigned cuts = 0;
        write_letters(cut.size);
        struct router *router = open_for_cuts(files, &cut);
        for (unsigned turns = 0; turns < TURNS; turns++) cuts += cut_file(&cut, turns);
        assert_in_range(cuts, 1, TURNS - 1);
        lab_core_close(&rig);
        router_free(router);
        static_close(files);
    }
}

/* ---- a piece of a response that is cut ---- */

struct piece_cut {
    bool chunked, of_file;
    int result, next, end; /* of the piece, of the one behind it, and of the response's end */
};

static int writes_piece(torc_req *rq, void *arg)
{
    struct piece_cut *cut = arg;
    torc_file *file;
    if (!cut->of_file) return cut->result = torc_write(rq, letters, MAPPED);
    char path[64];
    snprintf(path, sizeof path, "%s/letters", dir);
    cut->result = torc_file_open(rq, path, &file);
    return cut->result < 0 ? cut->result : (cut->result = torc_send_file(rq, file, 0, MAPPED));
}

static void writes_pieces(torc_req *rq, void *arg)
{
    struct piece_cut *cut = arg;
    assert_int_equal(torc_start(rq, 200, NULL, cut->chunked ? -1 : MAPPED + 4), 0);
    torc_group *g = torc_group_open(rq);
    assert_int_equal(torc_spawn(g, writes_piece, cut), 0);
    assert_int_equal(torc_spawn(g, fails_then, NULL), 0);
    torc_group_join(g);
    cut->next = torc_write(rq, "more", 4);
    cut->end = torc_end(rq);
}

/* The bytes of a body in chunks, as far as they came. */
static size_t unchunk(char *body, size_t n)
{
    size_t got = 0, at = 0, size = 1;
    while (at < n && size > 0) {
        char *end = memmem(body + at, n - at, "\r\n", 2);
        if (!end) return got;
        size = strtoul(body + at, NULL, 16);
        at = (size_t)(end - body) + 2;
        size_t part = size < n - at ? size : n - at;
        memmove(body + got, body + at, part);
        got += part;
        at += part + 2;
    }
    return got;
}

/* How many bytes of the piece came. What is behind it comes only where that is whole, and then
 * alone the response has an end. */
static size_t cut_piece(const struct piece_cut *cut, unsigned turns)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t n;
    struct mem_client *m = mem_connect(&rig.io);
    mem_push(m, request, sizeof request - 1);
    cut_then(m, 12 * 1000, turns);
    const char *out = mem_out(m, &n), *body = memmem(out, n, "\r\n\r\n", 4);
    assert_non_null(body);
    n = (size_t)(out + n - body) - 4;
    char *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, body + 4, n);
    bool ended = n >= 5 && memcmp(copy + n - 5, "0\r\n\r\n", 5) == 0;
    if (cut->chunked) n = unchunk(copy, n);
    bool more = n >= 4 && memcmp(copy + n - 4, "more", 4) == 0;
    size_t came = more ? n - 4 : n;
    assert_true(came <= MAPPED);
    assert_memory_equal(copy, letters, came);
    assert_int_equal(more, came == MAPPED);
    assert_int_equal(cut->next, more ? 0 : -EINVAL);
    assert_int_equal(cut->end, 0);
    if (cut->chunked) assert_int_equal(ended, more);
    assert_int_equal(mem_ended(m), cut->chunked ? !more : came < MAPPED);
    assert_false(mem_closed(m));
    free(copy);
    mem_push_end(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
    return came;
}

static void a_piece_that_is_cut(void **state)
{
    enum { TURNS = 30 };
    const struct file_cache_limits limits = {16, 3600 * NS_PER_S};
    (void)state;
    write_letters(MAPPED);
    for (unsigned i = 0; i < 2 * 2 * 2; i++) {
        struct static_files *files = static_open(&limits, 1);
        struct piece_cut cut = {.chunked = i & 1, .of_file = i & 2};
        unsigned cuts = 0, whole = 0;
        lab_core_open(&rig);
        rig.http.files = static_core_of(files, 0);
        struct router *router = router_new();
        assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), writes_pieces, &cut, NULL), 0);
        router_freeze(router);
        rig.http.router = router;
        mem_configure(&rig.io, &(struct mem_config){.late = i & 4, .patience = NS_PER_MS});
        for (unsigned turns = 0; turns < TURNS; turns++) {
            size_t came = cut_piece(&cut, turns);
            cuts += came > 0 && came < MAPPED;
            whole += came == MAPPED;
        }
        assert_true(cuts > 0 && whole > 0);
        lab_core_close(&rig);
        router_free(router);
        static_close(files);
    }
}

static int left_with;

static void stays_behind_it(torc_req *rq, void *arg)
{
    writes_pieces(rq, arg);
    assert_int_equal(torc_cancel_when_gone(rq), 0);
    left_with = torc_sleep(rq, 60000);
}

/* It is not complete, so that its client's end ends what the handler does for it. */
static void a_client_that_leaves_what_is_cut(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct piece_cut cut = {.chunked = true};
    (void)state;
    lab_core_open(&rig);
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), stays_behind_it, &cut, NULL), 0);
    router_freeze(router);
    rig.http.router = router;
    mem_configure(&rig.io, &(struct mem_config){.patience = NS_PER_MS});
    struct mem_client *m = mem_connect(&rig.io);
    mem_push(m, request, sizeof request - 1);
    cut_then(m, 12 * 1000, 3);
    assert_int_equal(cut.next, -EINVAL);
    mem_push_end(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    assert_int_equal(left_with, -ECONNRESET);
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
    lab_core_close(&rig);
    router_free(router);
}

/* ---- a file reply that is given up behind another response ---- */

static unsigned given_up;

static void leaves_with_it(torc_req *rq, void *arg)
{
    if (*(bool *)arg) torc_cancel_when_gone(rq);
    int err = replies_with_it(rq, arg);
    assert_true(err == 0 || err == -ECONNRESET || err == -EIO);
    given_up += err < 0;
}

/* The response before it is whole, whatever there is of the file's. */
static void ask_quick_and_leave(unsigned turns, bool at_once)
{
    static const char first[] = "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n",
                      next[] = "GET /leaves HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t n;
    struct mem_client *m = mem_connect(&rig.io);
    mem_push(m, first, sizeof first - 1);
    mem_push(m, next, sizeof next - 1);
    if (!at_once) mem_set_window(m, 0);
    mem_run(&rig.io, turns);
    mem_push_end(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    mem_set_window(m, SIZE_MAX);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    const char *out = mem_out(m, &n), *body = n ? memmem(out, n, "\r\n\r\nquick", 9) : NULL;
    assert_non_null(body);
    if (body + 9 < out + n) assert_memory_equal(body + 9, "HTTP/1.1 200 ", 13);
    assert_true(mem_ended(m));
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
}

/* Its client leaves, after each number of turns, or the file is shorter than it was. */
static void give_up_file(size_t size, size_t pace, bool by_reference, bool truncated)
{
    const struct file_cache_limits limits = {16, 3600 * NS_PER_S};
    struct static_files *files = static_open(&limits, 1);
    bool leaves = !truncated;
    char path[64];
    memset(letters, 'a', sizeof letters);
    given_up = 0;
    sent = "letters";
    snprintf(path, sizeof path, "%s/letters", dir);
    lab_core_open(&rig);
    rig.limits.sendfile_from = by_reference;
    rig.http.files = static_core_of(files, 0);
    struct router *router = router_new();
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), opens_first, NULL, NULL), 0);
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/quick"), quick, NULL, NULL), 0);
    assert_int_equal(router_add(router, HTTP_GET, SLICE("/leaves"), leaves_with_it, &leaves, NULL),
                     0);
    router_freeze(router);
    rig.http.router = router;
    for (unsigned i = 0; i < 4 * FAILS_LATEST; i++) {
        mem_configure(&rig.io, &(struct mem_config){.late = i & 1, .patience = NS_PER_MS});
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(letters, 1, size, f), size);
        assert_int_equal(fclose(f), 0);
        ask("/"); /* then it is open */
        if (truncated) assert_int_equal(truncate(path, (off_t)size / 2), 0);
        mem_configure(&rig.io,
                      &(struct mem_config){.late = i & 1, .pace = pace, .patience = NS_PER_MS});
        ask_quick_and_leave(i / 4, i & 2);
        unlink(path);
    }
    assert_true(given_up > 0);
    lab_core_close(&rig);
    router_free(router);
    static_close(files);
}

static void what_is_before_a_file_reply_arrives(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        give_up_file(KEPT, i & 1 ? KEPT / 6 : 0, i & 2, false);
        give_up_file(MAPPED, i & 1 ? MAPPED / 6 : 0, i & 2, false);
        give_up_file(MAPPED, i & 1 ? MAPPED / 6 : 0, i & 2, true);
    }
}

/* ---- a file reply that another fiber is ahead of ---- */

struct race {
    const char *path;
    unsigned turns; /* after which the handler starts a response */
    bool field;     /* it has set one before */
    int result;     /* of the file reply */
};

static int races(torc_req *rq, void *arg)
{
    struct race *r = arg;
    r->result = torc_reply_file(rq, dir, torc_slice_str(r->path));
    return 0;
}

static void starts_beside(torc_req *rq, void *arg)
{
    struct race *r = arg;
    if (r->field) torc_set_header(rq, TORC_S("X-Own"), TORC_S("1"));
    torc_group *g = torc_group_open(rq);
    assert_int_equal(torc_spawn(g, races, r), 0);
    for (unsigned n = r->turns; n > 0; n--) torc_sleep(rq, 0);
    int err = torc_start(rq, 200, "text/plain", -1);
    if (err == 0) assert_int_equal(torc_set_trailer(rq, TORC_S("X-Sum"), TORC_S("1")), 0);
    if (err == 0) assert_int_equal(torc_write(rq, "text", 4), 0);
    assert_int_equal(torc_group_join(g), 0);
    assert_int_equal(err ? err : r->result, -EALREADY);
    assert_int_equal(err ? r->result : err, 0);
}

/* Whether the handler's own response came first: then it has the fields and trailers of its own. */
static bool start_beside(struct race *r)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
                      end[] = "\r\n\r\n4\r\ntext\r\n0\r\nX-Sum: 1\r\n\r\n";
    size_t n;
    struct mem_client *m = mem_connect(&rig.io);
    mem_push(m, request, sizeof request - 1);
    mem_push_end(m);
    assert_true(mem_run(&rig.io, TURNS_MAX));
    const char *out = mem_out(m, &n);
    bool own = r->result == -EALREADY;
    if (own) {
        assert_true(n > sizeof end);
        assert_memory_equal(out + n - (sizeof end - 1), end, sizeof end - 1);
        assert_true(!memmem(out, n, "X-Own: 1", 8) == !r->field);
        assert_null(memmem(out, n, "ETag", 4));
        assert_null(memmem(out, n, "Location", 8));
    }
    mem_free(&rig.io, m);
    assert_null(lab_core_leak(&rig));
    return own;
}

static void a_file_reply_that_comes_second_changes_nothing(void **state)
{
    static const char *const paths[] = {"file", "below", "none"};
    const struct file_cache_limits limits = {16, 3600 * NS_PER_S};
    char below[64];
    unsigned own = 0;
    (void)state;
    snprintf(below, sizeof below, "%s/below", dir);
    assert_int_equal(mkdir(below, 0700), 0);
    for (unsigned i = 0; i < 3 * 2 * 10; i++) {
        struct static_files *files = static_open(&limits, 1);
        struct race r = {.path = paths[i % 3], .field = i / 3 % 2, .turns = i / 6};
        lab_core_open(&rig);
        rig.http.files = static_core_of(files, 0);
        struct router *router = router_new();
        assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), starts_beside, &r, NULL), 0);
        router_freeze(router);
        rig.http.router = router;
        mem_configure(&rig.io, &(struct mem_config){.late = true, .patience = NS_PER_MS});
        for (int again = 0; again < 2; again++) own += start_beside(&r);
        lab_core_close(&rig);
        router_free(router);
        static_close(files);
    }
    assert_true(own >= 6);
    rmdir(below);
}

/* ---- a field that another fiber sets while a file is read ---- */

static int cancels(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    return -ECANCELED;
}

static void sets_field(torc_req *rq, void *arg)
{
    struct race *r = arg;
    if (r->field) torc_set_header(rq, TORC_S("X-Own"), TORC_S("1"));
    torc_group *g = torc_group_open(rq);
    assert_int_equal(torc_spawn(g, races, r), 0);
    for (unsigned n = r->turns; n > 0; n--) torc_sleep(rq, 0);
    torc_set_header(rq, TORC_S("X-Late"), TORC_S("1"));
    assert_int_equal(torc_spawn(g, cancels, NULL), 0);
    torc_group_join(g);
    if (!torc_status(rq)) torc_reply(rq, 200, "text/plain", TORC_S("text"));
}

static void a_field_that_comes_before_a_file_fails_stays(void **state)
{
    const struct file_cache_limits limits = {16, 3600 * NS_PER_S};
    unsigned own = 0;
    char path[64];
    (void)state;
    snprintf(path, sizeof path, "%s/small", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("small", f);
    assert_int_equal(fclose(f), 0);
    for (unsigned i = 0; i < 2 * 10; i++) {
        struct static_files *files = static_open(&limits, 1);
        struct race r = {.path = "small", .field = i % 2, .turns = 100};
        lab_core_open(&rig);
        rig.http.files = static_core_of(files, 0);
        struct router *router = router_new();
        assert_int_equal(router_add(router, HTTP_GET, SLICE("/"), sets_field, &r, NULL), 0);
        router_freeze(router);
        rig.http.router = router;
        mem_configure(&rig.io, &(struct mem_config){.late = true, .patience = NS_PER_MS});
        for (int again = 0; again < 2; again++, r.turns = i / 2) {
            static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            size_t n;
            struct mem_client *m = mem_connect(&rig.io);
            mem_push(m, request, sizeof request - 1);
            mem_push_end(m);
            assert_true(mem_run(&rig.io, TURNS_MAX));
            const char *out = mem_out(m, &n);
            bool replied = n > 4 && memcmp(out + n - 4, "text", 4) == 0;
            if (replied) {
                own++;
                assert_non_null(memmem(out, n, "X-Late: 1", 9));
                assert_true(!memmem(out, n, "X-Own: 1", 8) == !r.field);
            }
            mem_free(&rig.io, m);
            assert_null(lab_core_leak(&rig));
        }
        lab_core_close(&rig);
        router_free(router);
        static_close(files);
    }
    assert_true(own > 0);
    unlink(path);
}

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    snprintf(name, sizeof name, "%s/file", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(name);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_is_reset), /* makes the file that the others send */
        cmocka_unit_test(a_file_reply_is_reset),
        cmocka_unit_test(a_part_of_a_file_is_reset),
        cmocka_unit_test(a_sibling_of_a_file_reply_fails),
        cmocka_unit_test(a_hint_behind_which_a_file_is_taken_back),
        cmocka_unit_test(a_file_reply_that_is_cut),
        cmocka_unit_test(a_piece_that_is_cut),
        cmocka_unit_test(a_client_that_leaves_what_is_cut),
        cmocka_unit_test(what_is_before_a_file_reply_arrives),
        cmocka_unit_test(a_file_reply_that_comes_second_changes_nothing),
        cmocka_unit_test(a_field_that_comes_before_a_file_fails_stays),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
