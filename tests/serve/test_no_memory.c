/* Servers to which memory is refused at some moment until they have started, or while they reload:
 * the call says so, and leaves nothing behind. */

#include "torc.h"

#include "client.h"
#include "files.h"
#include "json.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *engine;

/* ---- memory ---- */

static _Atomic bool counting;
static const char *thread; /* only what this one asks for counts; NULL: any */
static _Atomic long counted;
static long refused_from, refused_to; /* of those that are counted; the first is 1 */

static bool is_counted(void)
{
    char name[16];
    if (!counting) return false;
    return !thread || (pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
                       strcmp(name, thread) == 0);
}

static bool is_refused(void)
{
    if (!is_counted()) return false;
    long n = atomic_fetch_add(&counted, 1) + 1;
    if (n < refused_from || n >= refused_to) return false;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return is_refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return is_refused() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return is_refused() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return is_refused() ? NULL : __real_strdup(text);
}

/* ---- a server with much that needs memory ---- */

static char *dir, *config, *local;

static void hello(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("hello"));
}

static void pass_on(torc_req *rq, void *arg)
{
    (void)arg;
    torc_next(rq);
}

static _Atomic bool marked;

static void marks(torc_req *rq, void *arg)
{
    (void)arg;
    marked = true;
    torc_next(rq);
}

static int prepare(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    return 0;
}

static void on_error(torc_req *rq, int status, void *arg)
{
    (void)arg;
    torc_replyf(rq, status, "%d", status);
}

static const char *mine;

static int set_options(torc_server *s)
{
    const struct {
        const char *name, *value;
    } all[] = {{"engine", engine},     {"cores", "1"},
               {"threads", "2"},       {"listen", "127.0.0.1:0"},
               {"listen", local},      {"admin", "127.0.0.1:0"},
               {"timeline", "100"},    {"max-connections-per-client", "64"},
               {"server-name", "test"}};
    int err = torc_server_option(s, "mine", "TEXT", "an option", &mine);
    for (size_t i = 0; i < sizeof all / sizeof *all && err == 0; i++)
        err = torc_server_set(s, all[i].name, all[i].value);
    return err == 0 ? torc_server_about(s, "a server") : err;
}

static int add_handlers(torc_server *s)
{
    const torc_route_limits limits = {.stack_size = 65536};
    int err = torc_route(s, "GET", "/hello", hello, NULL);
    if (err == 0) err = torc_route(s, "GET", "/hello/:name/*rest", hello, NULL);
    if (err == 0) err = torc_route_limit(s, "GET", "/hello/:name/*rest", &limits);
    if (err == 0) err = torc_use(s, "/hello", pass_on, NULL);
    if (err == 0) err = torc_errors(s, "/", on_error, NULL);
    if (err == 0) err = torc_static(s, "/static/");
    if (err == 0) err = torc_static_dir(s, "/files/", dir);
    if (err == 0) err = torc_every(s, 1000, hello, NULL);
    if (err == 0) err = torc_on_end(s, NULL, NULL) == -EINVAL ? 0 : -EPROTO;
    return err == 0 ? torc_server_each_core(s, prepare, NULL, NULL) : err;
}

static int read_command(torc_server *s)
{
    char *argv[] = {"test", "--config", config, "--mine", "text", NULL};
    return torc_server_parse(s, 5, argv);
}

static void assert_told(torc_server *s, int err)
{
    if (err != -ENOMEM || !*torc_server_error(s))
        print_error("allocation %ld: %d %s\n", refused_from, err, torc_server_error(s));
    assert_int_equal(err, -ENOMEM);
    assert_true(*torc_server_error(s) != '\0');
}

static void get_hello(torc_server *s)
{
    struct server_addr addr;
    server_addr_parse(torc_server_address(s, 0), &addr);
    client_expect(&addr, "/hello", 200, "hello");
    client_expect(&addr, "/static", 301, "301 Moved Permanently\n");
}

static void refuse(long from, long to, const char *only)
{
    thread = only;
    refused_from = from;
    refused_to = to;
    counted = 0;
}

/* Whether an allocation was refused. A start that was refused some is repeated with all; middleware
 * that may be added then runs around all routes. */
static bool live(long from, long to)
{
    refuse(from, to, NULL);
    counting = true;
    torc_server *s = torc_server_new("test 1.0");
    int err = s ? set_options(s) : -ENOMEM;
    if (err == 0) err = add_handlers(s);
    if (err == 0) err = read_command(s);
    bool ready = err == 0;
    if (ready) err = torc_server_start(s);
    counting = false;
    bool refused = counted >= from;
    if (s && err < 0) assert_told(s, err);
    bool late = ready && err < 0 && torc_use(s, "/hello", marks, NULL) == 0;
    if (ready && err < 0) err = torc_server_start(s);
    marked = false;
    if (s && ready && err < 0) print_error("again: %s\n", torc_server_error(s));
    if (ready) assert_int_equal(err, 0);
    if (ready) get_hello(s);
    assert_int_equal(marked, late);
    torc_server_free(s);
    return refused;
}

/* ---- tests ---- */

static void live_with(bool one)
{
    enum { MOST = 1000 };
    live(MOST, MOST); /* what a process has once */
    unsigned descriptors = files_descriptors();
    long n = 1;
    while (n < MOST && live(n, one ? n + 1 : MOST)) n++;
    print_message("%ld allocations\n", n - 1);
    assert_true(n > 50 && n < MOST);
    assert_int_equal(files_descriptors(), descriptors);
}

static void each_allocation_may_be_refused(void **state)
{
    (void)state;
    live_with(true);
}

static void all_may_be_refused_from_then_on(void **state)
{
    (void)state;
    live_with(false);
}

/* ---- reloads ---- */

/* So many have ended, whether they were taken or refused. */
static double reloads(const torc_server *s)
{
    struct server_addr addr;
    struct client c;
    struct reply r = {0};
    server_addr_parse(torc_server_address(s, TORC_ADMIN), &addr);
    client_open_to(&c, &addr, NULL);
    client_get(&c, "/stats.json", 200, &r);
    json_t *stats = json_read(r.body);
    double n = json_number(stats, "reloads") + json_number(stats, "reloads_refused");
    json_decref(stats);
    client_close(&c);
    reply_free(&r);
    return n;
}

static void reload(torc_server *s)
{
    double before = reloads(s);
    torc_server_reload(s);
    for (int i = 0; i < SERVER_SECONDS * 100 && reloads(s) == before; i++) sleep_ms(10);
    assert_true(reloads(s) == before + 1);
}

static void configure(const char *log)
{
    char text[512];
    int n = snprintf(text, sizeof text, "idle-timeout = 30s\naccess-log = %s/%s\nroot = %s\n", dir,
                     log, dir);
    assert_true(n > 0 && n < (int)sizeof text);
    files_write(dir, "config", text, (size_t)n);
}

/* The log's thread moves it a moment after the reload: a line of before goes to the old file. */
static bool gets_lines(torc_server *s, const char *path)
{
    bool found = false;
    for (int i = 0; i < SERVER_SECONDS * 100 && !found; i++, sleep_ms(10)) {
        get_hello(s);
        char *text = files_read(path);
        found = text && strstr(text, "GET /hello");
        free(text);
    }
    return found;
}

/* What a reload could not do, the next one does. Whether an allocation was refused. */
static bool reload_twice(long from, long to)
{
    configure("log");
    torc_server *s = torc_server_new("test 1.0");
    assert_non_null(s);
    assert_int_equal(set_options(s), 0);
    assert_int_equal(add_handlers(s), 0);
    assert_int_equal(read_command(s), 0);
    assert_int_equal(torc_server_start(s), 0);
    configure("other");
    refuse(from, to, "torc-control");
    counting = true;
    reload(s);
    counting = false;
    bool refused = counted >= from;
    reload(s);
    char *path = files_path(dir, "other");
    if (!gets_lines(s, path)) fail_msg("allocation %ld: no line in it", from);
    torc_server_free(s);
    remove(path);
    free(path);
    return refused;
}

static void a_reload_takes_all_or_nothing(void **state)
{
    enum { MOST = 100 };
    (void)state;
    long n = 1;
    while (n < MOST && reload_twice(n, n + 1)) n++;
    print_message("%ld allocations\n", n - 1);
    assert_true(n > 5 && n < MOST);
    for (long i = 1; i < n; i++) reload_twice(i, MOST);
}

static int make(void **state)
{
    (void)state;
    dir = files_open();
    configure("log");
    config = files_path(dir, "config");
    char *path = files_path(dir, "socket");
    int n = asprintf(&local, "unix:%s", path);
    free(path);
    return n < 0;
}

static int clean(void **state)
{
    (void)state;
    free(local);
    free(config);
    files_close(dir);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    engine = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_be_refused),
        cmocka_unit_test(all_may_be_refused_from_then_on),
        cmocka_unit_test(a_reload_takes_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
