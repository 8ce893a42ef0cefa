/* Handlers that keep what they are sent, and send it again. */

#include "client.h"
#include "files.h"
#include "refuse.h"
#include "stats.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LIMIT = 100 * 1000, LARGE = 300 * 1000 };

static char *dir;
static struct server server;
static struct client client;
static struct reply reply;
static char body[LARGE];

static int make_dir(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof body; i++) body[i] = files_byte(i);
    dir = files_open();
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    files_close(dir);
    return 0;
}

static void start_with(void (*prepare)(void *arg), const char *option, const char *value)
{
    const char *const options[] = {"--dir", dir, option, value, NULL};
    if (prepare)
        server_start_prepared(&server, prepare, NULL, options);
    else
        server_start_list(&server, options);
    client_open(&client, &server);
}

static void start(void (*prepare)(void *arg))
{
    start_with(prepare, NULL, NULL);
}

static void stop(void)
{
    client_close(&client);
    reply_free(&reply);
    server_stop(&server);
}

/* Sends the first `n` bytes of the body, or all but `missing` of them. */
static void put(const char *path, size_t n, size_t missing, bool chunked)
{
    if (!chunked) {
        client_sendf(&client, "PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", path, n);
        client_send(&client, body, n - missing);
        return;
    }
    client_sendf(&client, "PUT %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", path);
    for (size_t at = 0, part; at < n - missing; at += part) {
        part = n - missing - at < 10007 ? n - missing - at : 10007;
        client_sendf(&client, "%zx\r\n", part);
        client_send(&client, body + at, part);
        client_send(&client, "\r\n", 2);
    }
    if (!missing) client_send(&client, "0\r\n\r\n", 5);
}

/* As the one part of a form. */
static void put_part(const char *path, size_t n)
{
    static const char before[] = "--x-y-z\r\nContent-Disposition: form-data; name=a\r\n\r\n",
                      after[] = "\r\n--x-y-z--";
    client_sendf(&client,
                 "PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n"
                 "Content-Type: multipart/form-data; boundary=x-y-z\r\n\r\n%s",
                 path, sizeof before - 1 + n + sizeof after - 1, before);
    client_send(&client, body, n);
    client_sendf(&client, "%s", after);
}

static void expect(int status, const char *text)
{
    client_reply(&client, "PUT", &reply);
    if (reply.status != status || strcmp(reply.body, text) != 0)
        print_error("%s\n%s\n", reply.head, reply.body);
    assert_int_equal(reply.status, status);
    assert_string_equal(reply.body, text);
}

/* The names in the directory; ".torc-" counts, too. */
static int count_names(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* Descriptors of the server for files in the directory. */
static int count_open(void)
{
    char table[64], path[512], target[512];
    int n = 0;
    snprintf(table, sizeof table, "/proc/%d/fd", (int)server.pid);
    DIR *d = opendir(table);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", table, e->d_name);
        ssize_t got = readlink(path, target, sizeof target - 1);
        n += got > 0 && (size_t)got > strlen(dir) && memcmp(target, dir, strlen(dir)) == 0;
    }
    closedir(d);
    return n;
}

/* Every file is closed, and these many have a name. */
static void await_files(int names)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && (count_open() || count_names() != names); i++)
        sleep_ms(10);
    if (count_open() || count_names() != names) print_error("%s\n", server_log(&server));
    assert_int_equal(count_open(), 0);
    assert_int_equal(count_names(), names);
}

static void expect_file(const char *name, size_t n)
{
    char *path = files_path(dir, name), *got = files_read(path);
    struct stat st;
    assert_non_null(got);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, n);
    assert_memory_equal(got, body, n);
    free(got);
    free(path);
}

static void drop_file(const char *name)
{
    char *path = files_path(dir, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void upload_every_size(void)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, LARGE};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int chunked = 0; chunked < 2; chunked++) {
            char want[64];
            snprintf(want, sizeof want, "0 %zu %zu", sizes[i], sizes[i]);
            put("/upload/file", sizes[i], 0, chunked);
            expect(201, want);
            expect_file("file", sizes[i]);
            drop_file("file");
        }
    }
    await_files(0);
}

static void test_a_body_becomes_a_file(void **state)
{
    (void)state;
    start(NULL);
    upload_every_size();
    stop();
}

static void take_and_replace_a_name(void)
{
    put("/upload/file", 1000, 0, false);
    expect(201, "0 1000 1000");
    put("/upload/file", 2000, 0, false);
    expect(409, "-17 2000 2000"); /* -EEXIST */
    expect_file("file", 1000);
    put("/upload/file?replace=1", 2000, 0, false);
    expect(201, "0 2000 2000");
    expect_file("file", 2000);
    put("/upload/new?replace=1", 3000, 0, false);
    expect(201, "0 3000 3000");
    expect_file("new", 3000);
    await_files(2);
    drop_file("file");
    drop_file("new");
    put("/upload/missing%2fname", 5, 0, false);
    expect(409, "-2 5 5"); /* -ENOENT */
    put("/upload/missing%2fname?replace=1", 5, 0, false);
    expect(409, "-2 5 5");
    await_files(0);
}

static void test_a_name_is_taken_or_replaced(void **state)
{
    (void)state;
    start(NULL);
    take_and_replace_a_name();
    stop();
}

/* A file that cannot take one name can still take another. */
static void test_a_name_that_cannot_be_replaced(void **state)
{
    (void)state;
    char *taken = files_path(dir, "taken");
    assert_int_equal(mkdir(taken, 0700), 0);
    start(NULL);
    put("/upload/taken?replace=1", 1000, 0, false);
    expect(409, "-21 1000 1000"); /* -EISDIR */
    await_files(1);
    put("/upload/taken?replace=1&else=1", 1000, 0, false);
    expect(201, "0 1000 1000");
    expect_file("else", 1000);
    await_files(2);
    stop();
    drop_file("else");
    assert_int_equal(rmdir(taken), 0);
    free(taken);
}

/* Sends all but `missing` bytes of a body, and waits until the handler has opened a file. */
static void begin_upload(size_t missing, bool chunked)
{
    static unsigned n;
    char text[64];
    snprintf(text, sizeof text, "/upload/file?n=%u", ++n);
    put(text, LARGE, missing, chunked);
    snprintf(text, sizeof text, "handler: receives %u\n", n);
    server_await_log(&server, text);
}

/* Whatever has arrived by then, nothing is left of it. */
static void leave_early(void)
{
    static const size_t missing[] = {LARGE, LARGE - 1, LARGE - 70000, LARGE - 140000, 1};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        for (int reset = 0; reset < 2; reset++) {
            begin_upload(missing[i], i % 2);
            if (reset) {
                client_reset(&client);
            } else {
                client_shut(&client);
                client_reply(&client, "PUT", &reply);
                assert_int_equal(reply.status, 400);
                client_close(&client);
            }
            await_files(0);
            client_open(&client, &server);
        }
    }
    server_await_log(&server, "handler: received -104\n"); /* -ECONNRESET */
    server_await_log(&server, "handler: received -32\n");  /* -EPIPE */
}

static void test_a_cancelled_upload_leaves_nothing(void **state)
{
    (void)state;
    start(NULL);
    leave_early();
    stop();
}

static void test_a_drain_cancels_an_upload(void **state)
{
    (void)state;
    server_start(&server, "--dir", dir, "--drain-timeout", "50ms");
    client_open(&client, &server);
    begin_upload(100, false);
    server_stop(&server);
    assert_int_equal(count_names(), 0);
    client_close(&client);
}

static void test_a_deadline_ends_an_upload(void **state)
{
    (void)state;
    start(NULL);
    put("/upload/file?deadline=50", LARGE, 100, false);
    client_reply(&client, "PUT", &reply);
    assert_int_equal(reply.status, 504);
    server_await_log(&server, "handler: received -62\n"); /* -ETIME */
    await_files(0);
    stop();
}

/* The descriptor of a file without a name is looked up in the table of the core's thread. */
static void test_an_upload_works_with_private_descriptors(void **state)
{
    (void)state;
    start_with(NULL, "--private-descriptors", NULL);
    upload_every_size();
    take_and_replace_a_name();
    stop();
}

static void test_an_upload_takes_the_memory_there_is(void **state)
{
    (void)state;
    start_with(NULL, "--request-memory", "20k");
    upload_every_size();
    stop();
}

static void refuse_calls(void *arg)
{
    static const int calls[] = {SYS_pwrite64, SYS_fsync, SYS_renameat2, SYS_unlinkat,
#ifdef SYS_unlink
                                SYS_unlink
#endif
    };
    (void)arg;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        refuse_call(&(struct refusal){.call = calls[i], .err = EPERM});
}

/* The core itself writes nothing, which would hold up its other requests. The ring is not subject
 * to the filter. */
static void test_the_ring_writes(void **state)
{
    (void)state;
    bool ring = strcmp(server_engine, "io_uring") == 0;
    start(ring ? refuse_calls : NULL);
    upload_every_size();
    take_and_replace_a_name();
    stop();
}

/* ---- parts of forms ---- */

static void test_a_part_is_written_by_one_fiber(void **state)
{
    (void)state;
    start(NULL);
    for (int i = 0; i < 10; i++) {
        put_part("/part/file", LARGE);
        expect(201, "0 300000, -16 0"); /* -EBUSY */
        expect_file("file", LARGE);
        drop_file("file");
    }
    stop();
}

/* ---- a full disk ---- */

static void limit_files(void *arg)
{
    struct rlimit limit = {LIMIT, LIMIT};
    (void)arg;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0) _exit(125);
}

/* SIGXFSZ would end the server, too. */
static void test_a_full_disk_is_told(void **state)
{
    (void)state;
    start(limit_files);
    put("/upload/file", LIMIT, 0, false);
    expect(201, "0 100000 100000");
    drop_file("file");
    for (int chunked = 0; chunked < 2; chunked++) {
        put("/upload/file", LARGE, 0, chunked);
        expect(507, "507 Insufficient Storage\n");
        client_close(&client);
        client_open(&client, &server);
        await_files(0);
    }
    server_await_log(&server, "cannot write a body to a file: File too large");
    put("/create/file", LIMIT + 1, 0, false);
    expect(200, "-27"); /* -EFBIG */
    expect_file("file", LIMIT);
    drop_file("file");
    stop();
}

static void test_a_full_disk_is_told_of_a_part(void **state)
{
    (void)state;
    start(limit_files);
    put_part("/part/file", LARGE);
    expect(507, "507 Insufficient Storage\n");
    server_await_log(&server, "cannot write a body to a file: File too large");
    client_close(&client);
    client_open(&client, &server);
    await_files(0);
    stop();
}

/* ---- a file system that keeps no file without a name ---- */

/* The ring is not subject to it. */
static void refuse_unnamed(void *arg)
{
    const unsigned flag = 020000000; /* of O_TMPFILE alone */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flag, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    (void)arg;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, 2, &program) < 0)
        _exit(125);
}

static void test_a_named_temporary_file_serves_as_well(void **state)
{
    (void)state;
    start(refuse_unnamed);
    begin_upload(100, false);
    assert_int_equal(count_names(), strcmp(server_engine, "epoll") == 0);
    client_close(&client);
    client_open(&client, &server);
    await_files(0);
    upload_every_size();
    take_and_replace_a_name();
    leave_early();
    stop();
}

/* As without /proc: the file would never get its name. */
static void refuse_access(void *arg)
{
    (void)arg;
    refuse_call(&(struct refusal){.call = SYS_faccessat, .err = EPERM});
    refuse_call(&(struct refusal){.call = SYS_faccessat2, .err = EPERM});
#ifdef SYS_access
    refuse_call(&(struct refusal){.call = SYS_access, .err = EPERM});
#endif
}

static void test_without_proc_a_temporary_file_is_named(void **state)
{
    (void)state;
    start(refuse_access);
    begin_upload(100, false);
    assert_int_equal(count_names(), 1);
    client_close(&client);
    client_open(&client, &server);
    await_files(0);
    upload_every_size();
    take_and_replace_a_name();
    stop();
}

/* ---- writing and sending ---- */

static void test_files_are_created_as_asked(void **state)
{
    (void)state;
    struct stat st;
    start(NULL);
    put("/create/file", 1000, 0, false);
    expect(200, "1000");
    char *path = files_path(dir, "file");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    put("/create/file?excl=1", 10, 0, false);
    expect(409, "-17"); /* -EEXIST */
    put("/create/file", 10, 0, false);
    expect(200, "10");
    expect_file("file", 1000);
    put("/create/file?trunc=1&offset=10", 10, 0, false);
    expect(200, "10");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 20);
    put("/create/.", 1, 0, false);
    expect(409, "-21"); /* -EISDIR */
    put("/create/missing%2ffile", 1, 0, false);
    expect(409, "-2"); /* -ENOENT */
    free(path);
    await_files(1);
    drop_file("file");
    stop();
}

/* -EINVAL, -EBADF and -EACCES; nothing to send is no error, but there is no response yet. */
static void test_wrong_calls_are_refused(void **state)
{
    (void)state;
    start(NULL);
    put("/refused", 5, 0, false);
    expect(200, "-22 -9 -22 0 -22 -9 -22 -13");
    await_files(1);
    drop_file("readable");
    stop();
}

static void get_part(size_t offset, size_t size, bool chunked)
{
    char path[128];
    snprintf(path, sizeof path, "/part/file?offset=%zu&size=%zu&chunked=%d", offset, size, chunked);
    client_ask(&client, "HEAD", path, "");
    client_reply(&client, "HEAD", &reply);
    assert_int_equal(reply.status, 200);
    client_get(&client, path, 200, &reply);
    assert_int_equal(reply.chunked, chunked);
    assert_int_equal(reply.body_len, size + 2);
    assert_int_equal(reply.body[0], '<');
    assert_memory_equal(reply.body + 1, body + offset, size);
    assert_int_equal(reply.body[size + 1], '>');
}

static void test_parts_of_a_file_are_sent(void **state)
{
    (void)state;
    static const size_t parts[][2] = {{0, 0},     {0, 1},     {7, 32767},     {1, 32768},
                                      {5, 32769}, {0, LARGE}, {LARGE - 1, 1}, {LARGE, 0}};
    files_fill(dir, "file", LARGE);
    start(NULL);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (int chunked = 0; chunked < 2; chunked++) get_part(parts[i][0], parts[i][1], chunked);

    /* Beyond the end nothing is sent: a body of known length stays incomplete. */
    client_get(&client, "/part/file?offset=300000&size=1&chunked=1", 200, &reply);
    assert_string_equal(reply.body, "<>");
    client_ask(&client, "GET", "/part/file?offset=299999&size=2", "");
    assert_false(client_try_reply(&client, "GET", &reply));
    server_await_log(&server, "handler: sent -22\n");
    client_close(&client);
    client_open(&client, &server);
    client_get(&client, "/part/file?offset=-1&size=1&chunked=1", 200, &reply);
    assert_string_equal(reply.body, "<>");
    client_get(&client, "/part/missing", 404, &reply);
    await_files(1);
    drop_file("file");
    stop();
}

static void test_nothing_gets_into_a_file_being_sent(void **state)
{
    (void)state;
    files_fill(dir, "file", LARGE);
    start(NULL);
    client_get(&client, "/race/file", 200, &reply);
    assert_int_equal(reply.body_len, LARGE);
    assert_memory_equal(reply.body, body, LARGE);
    server_await_log(&server, "handler: wrote meanwhile -16\nhandler: ended meanwhile -16\n");
    drop_file("file");
    stop();
}

/* The second time it is mapped. */
static void test_nothing_gets_into_a_static_file_being_sent(void **state)
{
    enum { SIZE = 24 << 20 }; /* more than sockets hold */
    (void)state;
    files_fill(dir, "file", SIZE);
    start(NULL);
    for (int mapped = 0; mapped < 2; mapped++) {
#define TOLD "handler: wrote meanwhile -16\nhandler: ended meanwhile -16\n"
        client_ask(&client, "GET", "/race-reply/file", "");
        server_await_log(&server, mapped ? TOLD TOLD : TOLD);
        client_reply(&client, "GET", &reply);
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.body_len, SIZE);
        for (size_t i = 0; i < SIZE; i++)
            if (reply.body[i] != files_byte(i)) fail_msg("byte %zu is wrong", i);
    }
    drop_file("file");
    stop();
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_body_becomes_a_file),
        cmocka_unit_test(test_a_name_is_taken_or_replaced),
        cmocka_unit_test(test_a_name_that_cannot_be_replaced),
        cmocka_unit_test(test_a_cancelled_upload_leaves_nothing),
        cmocka_unit_test(test_a_drain_cancels_an_upload),
        cmocka_unit_test(test_a_deadline_ends_an_upload),
        cmocka_unit_test(test_an_upload_works_with_private_descriptors),
        cmocka_unit_test(test_an_upload_takes_the_memory_there_is),
        cmocka_unit_test(test_the_ring_writes),
        cmocka_unit_test(test_a_part_is_written_by_one_fiber),
        cmocka_unit_test(test_a_full_disk_is_told),
        cmocka_unit_test(test_a_full_disk_is_told_of_a_part),
        cmocka_unit_test(test_a_named_temporary_file_serves_as_well),
        cmocka_unit_test(test_without_proc_a_temporary_file_is_named),
        cmocka_unit_test(test_files_are_created_as_asked),
        cmocka_unit_test(test_wrong_calls_are_refused),
        cmocka_unit_test(test_parts_of_a_file_are_sent),
        cmocka_unit_test(test_nothing_gets_into_a_static_file_being_sent),
        cmocka_unit_test(test_nothing_gets_into_a_file_being_sent),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
