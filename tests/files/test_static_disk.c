/* Files on a disk that is slow, or fails: it holds up nobody who needs nothing from it. */

#include "torc.h"

#include "site.h"
#include "slow_disk.h"
#include "stats.h"

#include <dirent.h>
#include <errno.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

enum {
    DOWNLOADS = 20,
    LARGE = 3000000,
    HUGE = 16 << 20, /* more than the buffers of a socket */
    DEADLINE = 1500, /* ms, and one that leaves time for the first bytes */
    LONG_DEADLINE = 3000,
    PASSED = 500,     /* and by now the core has seen it */
    READS_MAX = 14,   /* of so many downloads at most, under way at once */
    THREADS_MAX = 16, /* of the server, where it has none for each connection */
};

static bool has_disk;

static int make(void **state)
{
    site_make(state);
    tree_dir(&tree, "root/slow");
    tree_text(&tree, "root/quick", "quick");
    files_fill(tree.path, "root/large", LARGE); /* written, so it is in memory */
    has_disk = slow_disk_open(tree_path(&tree, "root/slow"));
    return 0;
}

static int unmake(void **state)
{
    slow_disk_close();
    return site_remove(state);
}

static int stop(void **state)
{
    if (!has_disk) return 0;
    slow_disk_set(DISK_SERVES);
    return site_stop(state);
}

#define need_disk()                                                                                \
    if (!has_disk) skip()

static void await_reads(void)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && slow_disk_waiting() == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(slow_disk_waiting() > 0);
}

static unsigned server_threads(void)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)server.pid);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static bool has_thread_each(void)
{
    return strcmp(server_engine, "threads") == 0;
}

static void expect_whole(const struct reply *r)
{
    assert_int_equal(r->status, 200);
    assert_int_equal(r->body_len, DISK_SIZE);
    for (size_t i = 0; i < DISK_SIZE; i++)
        if (r->body[i] != files_byte(i)) fail_msg("byte %zu is wrong", i);
}

/* From another disk, and large enough to be mapped. */
static void expect_large(void)
{
    assert_int_equal(get("/large"), 200);
    assert_int_equal(reply.body_len, LARGE);
    for (size_t i = 0; i < LARGE; i++)
        if (reply.body[i] != files_byte(i)) fail_msg("byte %zu is wrong", i);
}

/* While the disk answers nothing, others are answered; once it does, all get their files. */
static void download_beside_others(const char *(*path)(int i))
{
    struct client slow[DOWNLOADS];
    site_map("root/large");
    slow_disk_set(DISK_WAITS);
    for (int i = 0; i < DOWNLOADS; i++) {
        client_open(&slow[i], &server);
        client_ask(&slow[i], "GET", path(i), "");
    }
    await_reads();
    for (int i = 0; i < 300; i++) expect("/quick", 200, "quick");
    expect_large();
    if (!has_thread_each()) {
        assert_true(slow_disk_waiting() <= READS_MAX);
        assert_true(server_threads() <= THREADS_MAX);
    }
    slow_disk_set(DISK_SERVES);
    for (int i = 0; i < DOWNLOADS; i++) {
        client_reply(&slow[i], "GET", &reply);
        expect_whole(&reply);
        client_close(&slow[i]);
    }
}

static const char *each_of_its_own(int i)
{
    static char path[32];
    snprintf(path, sizeof path, "/slow/%d", i);
    return path;
}

static const char *all_the_same(int i)
{
    (void)i;
    return "/slow/50";
}

static void downloads_of_files_that_are_opened(void **state)
{
    (void)state;
    need_disk();
    site_start();
    download_beside_others(each_of_its_own);
}

static void downloads_of_a_file_that_is_mapped(void **state)
{
    (void)state;
    need_disk();
    site_start();
    site_map("root/slow/50");
    download_beside_others(all_the_same);
}

/* That a name is there may take as long as a read to find out. */
static void names_that_are_looked_up(void **state)
{
    enum { CLIENTS = DISK_FILES - DISK_FRESH };
    struct client slow[CLIENTS];
    (void)state;
    need_disk();
    site_start();
    expect("/quick", 200, "quick"); /* that it has no twins is known from now on */
    slow_disk_set(DISK_HIDES);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&slow[i], &server);
        client_ask(&slow[i], "GET", each_of_its_own(DISK_FRESH + i), "");
    }
    await_reads();
    for (int i = 0; i < 300; i++) expect("/quick", 200, "quick");
    slow_disk_set(DISK_SERVES);
    for (int i = 0; i < CLIENTS; i++) {
        client_reply(&slow[i], "GET", &reply);
        expect_whole(&reply);
        client_close(&slow[i]);
    }
}

static void ranges_of_a_file_that_is_mapped(void **state)
{
    enum { FROM = 700001, TO = 1000000 };
    (void)state;
    need_disk();
    site_start();
    site_map("root/slow/51");
    assert_int_equal(request("GET", "/slow/51", "Range: bytes=700001-1000000\r\n"), 206);
    assert_int_equal(reply.body_len, TO - FROM + 1);
    for (size_t i = 0; i < reply.body_len; i++)
        if (reply.body[i] != files_byte(FROM + i)) fail_msg("byte %zu is wrong", FROM + i);
    assert_int_equal(request("HEAD", "/slow/51", ""), 200);
    assert_int_equal(request("GET", "/slow/51", "Range: bytes=-1\r\n"), 206);
    assert_int_equal(reply.body[0], files_byte(DISK_SIZE - 1));
}

static void leave_meanwhile(enum disk_mode mode, int first, int n)
{
    struct client slow[DOWNLOADS];
    site_start();
    expect("/quick", 200, "quick");
    slow_disk_set(mode);
    for (int i = 0; i < n; i++) {
        client_open(&slow[i], &server);
        client_ask(&slow[i], "GET", each_of_its_own(first + i), "");
    }
    await_reads();
    for (int i = 0; i < n; i++) client_reset(&slow[i]);
    expect("/quick", 200, "quick");
    slow_disk_set(DISK_SERVES);
    site_await_open_files(0);
    assert_int_equal(get("/slow/60"), 200);
    expect_whole(&reply);
    site_await_open_files(0); /* also of those that were opened meanwhile */
}

/* Those that wait for the disk, and those that wait for their turn, take nothing with them. */
static void clients_that_leave_meanwhile(void **state)
{
    (void)state;
    need_disk();
    leave_meanwhile(DISK_WAITS, 0, DOWNLOADS);
}

static void clients_that_leave_while_names_are_looked_up(void **state)
{
    (void)state;
    need_disk();
    leave_meanwhile(DISK_HIDES, DISK_FRESH, DISK_FILES - DISK_FRESH);
}

/* One that the server has answered with an error: it ends the stream, and waits for the client to
 * do so. */
static void open_lingering(struct client *c)
{
    client_open(c, &server);
    client_sendf(c, "GET / HTTP/1.1\r\n\r\n");
    client_reply(c, "GET", &reply);
    assert_int_equal(reply.status, 400);
}

/* The worker threads of the ring all wait for the disk. */
static void start_without_workers(struct client *slow, const char *more)
{
    site_start("--iowq-workers", "1", more);
    slow_disk_set(DISK_WAITS);
    client_open(slow, &server);
    client_ask(slow, "GET", "/slow/70", "");
    await_reads();
}

static void end_without_workers(struct client *slow)
{
    slow_disk_set(DISK_SERVES);
    client_reply(slow, "GET", &reply);
    expect_whole(&reply);
    client_close(slow);
}

/* Nothing that is done for a connection at its end may wait for them: none would be closed. */
static void connections_end_meanwhile(void **state)
{
    struct client slow, c;
    (void)state;
    need_disk();
    start_without_workers(&slow, NULL);
    double before = stats_number(&server, "total.connections_closed");
    open_lingering(&c);
    client_await_close(&c);
    stats_await(&server, "total.connections_closed", before + 1);
    client_close(&c);
    end_without_workers(&slow);
}

static void await_taken(const struct client *c)
{
    int left = 1;
    for (int i = 0; i < SERVER_SECONDS * 100 && left > 0; i++) {
        assert_int_equal(ioctl(c->fd, SIOCOUTQ, &left), 0);
        if (left > 0) sleep_ms(10);
    }
    assert_int_equal(left, 0);
}

/* The end of the stream of an ordinary descriptor does not wait either: it comes while the server
 * still takes what the client sends. */
static void streams_of_descriptors_end_meanwhile(void **state)
{
    struct client slow, c;
    (void)state;
    need_disk();
    start_without_workers(&slow, "--no-direct");
    open_lingering(&c);
    client_expect_end(&c);
    assert_true(client_try_send(&c, "more", 4));
    await_taken(&c);
    client_expect_end(&c); /* not a reset, as of a socket that is closed */
    client_close(&c);
    end_without_workers(&slow);
}

/* The drain waits for it, and for what was begun for a client that has left. */
static void an_end_while_names_are_looked_up(void **state)
{
    enum { CLIENTS = DISK_FILES - DISK_FRESH };
    struct client slow[CLIENTS];
    (void)state;
    need_disk();
    site_start("--drain-timeout", "1h");
    expect("/quick", 200, "quick");
    slow_disk_set(DISK_HIDES);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&slow[i], &server);
        client_ask(&slow[i], "GET", each_of_its_own(DISK_FRESH + i), "");
    }
    await_reads();
    for (int i = 1; i < CLIENTS; i += 2) client_reset(&slow[i]);
    expect("/quick", 200, "quick");
    server_signal(&server, SIGTERM);
    assert_int_equal(client_more(&client), 0); /* it has come */
    assert_true(slow_disk_waiting() > 0);
    slow_disk_set(DISK_SERVES);
    for (int i = 0; i < CLIENTS; i += 2) {
        client_reply(&slow[i], "GET", &reply);
        expect_whole(&reply);
        client_close(&slow[i]);
    }
    assert_int_equal(server_wait(&server), 0);
    server_free(&server);
    client_close(&client);
    reply_free(&reply);
}

/* ---- a disk that fails ---- */

static double number(const json_t *line, const char *name)
{
    return json_number_value(json_object_get(line, name));
}

/* Of the only request for it: so many bytes of the body have left at least, and not all. */
static void expect_logged(const char *log, const char *path, size_t bytes, size_t whole)
{
    char *text = files_read(log), *rest = text;
    unsigned found = 0;
    assert_non_null(text);
    for (char *l; (l = strsep(&rest, "\n")) && rest;) {
        if (!strstr(l, path)) continue;
        json_t *line = json_loads(l, 0, NULL);
        assert_non_null(line);
        found++;
        assert_true(number(line, "status") == 200);
        assert_true(number(line, "bytes") >= (double)bytes &&
                    number(line, "bytes") < (double)whole);
        assert_string_equal(json_string_value(json_object_get(line, "end")), "server");
        json_decref(line);
    }
    free(text);
    assert_int_equal(found, 1);
}

static void fail_while_sent(const char *path)
{
    struct client c;
    char log[512];
    snprintf(log, sizeof log, "%s", tree_path(&tree, "log"));
    site_start("--access-log", log, "--access-log-format", "json");
    slow_disk_set(DISK_FAILS);
    client_open(&c, &server);
    client_ask(&c, "GET", path, "");
    ssize_t n;
    while ((n = client_more(&c)) > 0) continue;
    assert_true(n == 0 || n == -ECONNRESET);
    const char *body = c.len ? memmem(c.buf, c.len, "\r\n\r\n", 4) : NULL;
    size_t got = body ? (size_t)(c.buf + c.len - (body + 4)) : 0;
    assert_true(got <= DISK_SIZE / 2);
    for (size_t i = 0; i < got; i++)
        if (body[4 + i] != files_byte(i)) fail_msg("byte %zu is wrong", i);
    client_close(&c);
    server_await_log(&server, "cannot read a file: Input/output error; connection closed");
    expect("/quick", 200, "quick");
    slow_disk_set(DISK_SERVES);
    assert_int_equal(get("/slow/99"), 200);
    expect_whole(&reply);
    client_close(&client);
    reply_free(&reply);
    server_signal(&server, SIGTERM);
    assert_int_equal(server_wait(&server), 0);
    expect_logged(log, path, got, DISK_SIZE);
    server_free(&server);
    remove(log);
}

static void a_disk_that_fails_ends_the_response(void **state)
{
    (void)state;
    need_disk();
    fail_while_sent("/slow/70");
}

static void a_disk_that_fails_behind_a_mapping(void **state)
{
    (void)state;
    need_disk();
    site_start();
    site_map("root/slow/71");
    slow_disk_set(DISK_FAILS);
    client_ask(&client, "GET", "/slow/71", "");
    assert_false(client_try_reply(&client, "GET", &reply));
    server_await_log(&server, "cannot read a file: Input/output error; connection closed");
    slow_disk_set(DISK_SERVES);
    client_close(&client);
    client_open(&client, &server);
    assert_int_equal(get("/slow/71"), 200); /* it was opened again */
    expect_whole(&reply);
}

/* ---- a deadline ---- */

static void late(torc_req *rq, void *arg)
{
    (void)arg;
    torc_deadline(rq, DEADLINE);
    torc_reply_file(rq, getenv("DIRECTORY"), torc_param(rq, "path"));
}

static void marked(torc_req *rq, void *arg)
{
    torc_set_header(rq, TORC_S("X-Mark"), TORC_S("of the handler"));
    late(rq, arg);
}

static void later(torc_req *rq, void *arg)
{
    (void)arg;
    torc_deadline(rq, LONG_DEADLINE);
    torc_reply_file(rq, getenv("DIRECTORY"), torc_param(rq, "path"));
}

/* ---- a group that fails ---- */

static torc_event *fails;

static int send_file(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_reply_file(rq, getenv("DIRECTORY"), torc_param(rq, "path"));
}

static int fail_once_told(torc_req *rq, void *arg)
{
    uint64_t seen = 0;
    (void)arg;
    torc_event_wait(rq, fails, &seen);
    return -EPROTO;
}

static void in_group(torc_req *rq, void *arg)
{
    torc_group *g = torc_group_open(rq);
    (void)arg;
    torc_spawn(g, fail_once_told, NULL);
    torc_spawn(g, send_file, NULL);
    torc_replyf(rq, torc_group_join(g) == -EPROTO ? 503 : 500, "failed");
}

static void alone(torc_req *rq, void *arg)
{
    send_file(rq, arg);
}

static void *tell(void *arg)
{
    torc_event_signal(arg);
    return NULL;
}

/* So that the core finds both: that, and what the disk answers meanwhile. */
static void tell_and_block(torc_req *rq, void *arg)
{
    pthread_t thread;
    (void)arg;
    if (pthread_create(&thread, NULL, tell, fails) == 0) pthread_join(thread, NULL);
    nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
    torc_reply(rq, 200, "text/plain", TORC_S("told"));
}

static void quick(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", TORC_S("quick"));
}

static int be_server(int argc, char **argv)
{
    static torc_server *s;
    s = torc_server_new("test");
    fails = torc_event_new();
    if (!s || !fails || torc_route(s, "GET", "/group/*path", in_group, NULL) < 0 ||
        torc_route(s, "GET", "/alone/*path", alone, NULL) < 0 ||
        torc_route(s, "GET", "/tell", tell_and_block, NULL) < 0 ||
        torc_route(s, "GET", "/late/*path", late, NULL) < 0 ||
        torc_route(s, "GET", "/marked/*path", marked, NULL) < 0 ||
        torc_route(s, "GET", "/later/*path", later, NULL) < 0 ||
        torc_route(s, "GET", "/quick", quick, NULL) < 0)
        return 125;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    torc_event_free(fails);
    return status;
}

static void start_late(const char *log, const char *option, const char *value)
{
    setenv("DIRECTORY", tree_path(&tree, "root"), 1);
    server_start_program(&server, "/proc/self/exe", "--access-log", log, "--access-log-format",
                         "json", "--timeline", "100", option, value);
}

/* Of a response that was taken back nothing is left: neither the fields of the file, nor, in the
 * timeline, its status. What the handler has set is of the one in its place. */
static void expect_another(const char *path, const char *fields)
{
    slow_disk_set(DISK_WAITS);
    client_ask(&client, "GET", path, fields);
    await_reads();
    sleep_ms(DEADLINE + PASSED);
    slow_disk_set(DISK_SERVES);
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.status, 504);
    assert_null(strcasestr(reply.head, "\r\nETag"));
    assert_null(strcasestr(reply.head, "\r\nLast-Modified"));
    assert_non_null(strstr(reply.head, "\r\nX-Mark: of the handler\r\n"));
}

static void expect_timeline(void)
{
    struct client c;
    struct reply r = {0};
    client_open_admin(&c, &server);
    client_get(&c, "/timeline.json?ms=60000", 200, &r);
    assert_non_null(strstr(r.body, "\"status\":504"));
    client_close(&c);
    reply_free(&r);
}

/* Its head was to leave with them, and with a response before it. */
static void a_deadline_before_the_first_bytes(void **state)
{
    (void)state;
    need_disk();
    start_late("/dev/null", NULL, NULL);
    client_open(&client, &server);
    slow_disk_set(DISK_WAITS);
    client_ask(&client, "GET", "/quick", "");
    client_ask(&client, "GET", "/late/slow/80", "");
    await_reads();
    sleep_ms(DEADLINE + PASSED);
    slow_disk_set(DISK_SERVES);
    client_reply(&client, "GET", &reply);
    assert_string_equal(reply.body, "quick");
    client_reply(&client, "GET", &reply);
    assert_int_equal(reply.status, 504);
    assert_string_equal(reply.body, "504 Gateway Timeout\n");
    expect_another("/marked/slow/81", "");
    expect_another("/marked/slow/87", "Range: bytes=0-9,500000-500010\r\n");
    expect("/quick", 200, "quick");
    expect_timeline();
    stop(state);
}

/* By reference, its last page is read before anything leaves. The file is known to be in memory,
 * but not to its file system, so that this read has to wait for its turn. */
static void a_deadline_while_the_last_page_is_read(void **state)
{
    struct client slow[DOWNLOADS];
    (void)state;
    need_disk();
    start_late("/dev/null", "--sendfile-from", "1");
    client_open(&client, &server);
    for (int i = 0; i < DOWNLOADS; i++) client_open(&slow[i], &server);
    client_ask(&client, "GET", "/late/slow/86", "");
    client_reply(&client, "GET", &reply);
    expect_whole(&reply);
    slow_disk_set(DISK_WAITS);
    for (int i = 0; i < DOWNLOADS; i++) {
        char path[32];
        snprintf(path, sizeof path, "/alone/slow/%d", i);
        client_ask(&slow[i], "GET", path, "");
    }
    await_reads();
    for (int i = 0; i < 100; i++) expect("/quick", 200, "quick"); /* until all turns are taken, */
    client_ask(&client, "GET", "/late/slow/86", "Range: bytes=0-99999\r\n");
    client_reply(&client, "GET", &reply);
    if (reply.status == 206) /* or else it had one */
        assert_int_equal(reply.body_len, 100000);
    else
        assert_string_equal(reply.body, "504 Gateway Timeout\n");
    slow_disk_set(DISK_SERVES);
    for (int i = 0; i < DOWNLOADS; i++) {
        client_reply(&slow[i], "GET", &reply);
        expect_whole(&reply);
        client_close(&slow[i]);
    }
    expect("/quick", 200, "quick");
    stop(state);
}

/* Then only the end of the connection can tell. */
static void a_deadline_after_the_head(void **state)
{
    char log[512];
    (void)state;
    files_fill(tree.path, "root/huge", HUGE);
    snprintf(log, sizeof log, "%s", tree_path(&tree, "log"));
    start_late(log, NULL, NULL);
    client_open_to(&client, &server.addr, &(struct tcp_how){.receive_buffer = 4096});
    client_ask(&client, "GET", "/later/huge", "");
    sleep_ms(LONG_DEADLINE + PASSED);
    assert_false(client_try_reply(&client, "GET", &reply));
    client_close(&client);
    server_signal(&server, SIGTERM);
    assert_int_equal(server_wait(&server), 0);
    expect_logged(log, "/later/huge", 0, HUGE);
    server_free(&server);
    remove(log);
    remove(tree_path(&tree, "root/huge"));
}

static void await_read_of(unsigned file)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && !slow_disk_waits_for(file); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(slow_disk_waits_for(file));
}

/* It comes in the moment in which the response's turn to read has come: no read begins then, which
 * nothing would end before the disk does. */
static void a_cancel_in_the_moment_of_ones_turn(void **state)
{
    struct client reading[2], told, waiting;
    (void)state;
    need_disk();
    if (strcmp(server_engine, "epoll") != 0) return; /* there two of the core may read at once */
    start_late("/dev/null", NULL, NULL);
    client_open(&client, &server);
    slow_disk_set(DISK_WAITS);
    for (unsigned i = 0; i < 2; i++) {
        client_open(&reading[i], &server);
        client_ask(&reading[i], "GET", i ? "/alone/slow/83" : "/alone/slow/82", "");
        await_read_of(82 + i);
    }
    client_open(&waiting, &server);
    client_ask(&waiting, "GET", "/group/slow/84", "");
    for (int i = 0; i < 3; i++) expect("/quick", 200, "quick");
    client_open(&told, &server);
    client_ask(&told, "GET", "/tell", "");
    sleep_ms(1000);
    slow_disk_release(82);
    client_reply(&waiting, "GET", &reply);
    assert_int_equal(reply.status, 503);
    assert_true(slow_disk_waits_for(83));
    assert_false(slow_disk_waits_for(84));
    slow_disk_set(DISK_SERVES);
    for (int i = 0; i < 2; i++) {
        client_reply(&reading[i], "GET", &reply);
        expect_whole(&reply);
        client_close(&reading[i]);
    }
    client_close(&waiting);
    client_close(&told);
    stop(state);
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == '-') return be_server(argc, argv);
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(downloads_of_files_that_are_opened, stop),
        cmocka_unit_test_teardown(downloads_of_a_file_that_is_mapped, stop),
        cmocka_unit_test_teardown(names_that_are_looked_up, stop),
        cmocka_unit_test_teardown(ranges_of_a_file_that_is_mapped, stop),
        cmocka_unit_test_teardown(clients_that_leave_meanwhile, stop),
        cmocka_unit_test_teardown(clients_that_leave_while_names_are_looked_up, stop),
        cmocka_unit_test_teardown(connections_end_meanwhile, stop),
        cmocka_unit_test_teardown(streams_of_descriptors_end_meanwhile, stop),
        cmocka_unit_test(an_end_while_names_are_looked_up),
        cmocka_unit_test(a_disk_that_fails_ends_the_response),
        cmocka_unit_test_teardown(a_disk_that_fails_behind_a_mapping, stop),
        cmocka_unit_test(a_deadline_after_the_head),
    };
    /* A thread that waits for the disk itself sees no deadline meanwhile. */
    const struct CMUnitTest by_core[] = {
        cmocka_unit_test(a_deadline_before_the_first_bytes),
        cmocka_unit_test(a_deadline_while_the_last_page_is_read),
        cmocka_unit_test(a_cancel_in_the_moment_of_ones_turn),
    };
    int failed = cmocka_run_group_tests(tests, make, unmake);
    return has_thread_each() ? failed : failed + cmocka_run_group_tests(by_core, make, unmake);
}
