#include "site.h"

#include "refuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct tree tree;
struct server server;
struct client client;
struct reply reply;

int site_make(void **state)
{
    (void)state;
    tree_make(&tree);
    tree_dir(&tree, "root");
    return 0;
}

int site_remove(void **state)
{
    (void)state;
    tree_remove(&tree);
    return 0;
}

void site_start_list(const char *const *options)
{
    const char *argv[16] = {"--root", tree_path(&tree, "root")};
    size_t n = 2;
    if (getenv("SENDFILE_FROM")) {
        argv[n++] = "--sendfile-from";
        argv[n++] = getenv("SENDFILE_FROM");
    }
    for (; *options; options++) {
        assert_true(n < 15);
        argv[n++] = *options;
    }
    const char *refused = getenv("REFUSE");
    if (refused) {
        bool openat2 = strcmp(refused, "openat2") == 0;
        assert_true(openat2 || strcmp(refused, "sendfile") == 0);
        struct refusal refusal = {.call = openat2 ? SYS_openat2 : SYS_sendfile, .err = ENOSYS};
        server_start_prepared(&server, refuse_call, &refusal, argv);
    } else {
        server_start_list(&server, argv);
    }
    client_open(&client, &server);
}

int site_start_plain(void **state)
{
    (void)state;
    site_start();
    return 0;
}

int site_stop(void **state)
{
    (void)state;
    client_close(&client);
    reply_free(&reply);
    server_stop(&server);
    return 0;
}

int request(const char *method, const char *path, const char *fields)
{
    client_ask(&client, method, path, fields);
    client_reply(&client, method, &reply);
    return reply.status;
}

int get(const char *path)
{
    return request("GET", path, "");
}

void expect(const char *path, int status, const char *body)
{
    get(path);
    if (reply.status != status || strcmp(reply.body, body) != 0)
        print_error("GET %s: %s\n%s\n", path, reply.head, reply.body);
    assert_int_equal(reply.status, status);
    assert_string_equal(reply.body, body);
}

void expect_field(const char *name, const char *value)
{
    char *got = reply_field(&reply, name);
    bool same = got && value ? strcmp(got, value) == 0 : !got && !value;
    if (!same) print_error("%s is not %s in:\n%s\n", name, value ? value : "absent", reply.head);
    assert_true(same);
    free(got);
}

char *copy_field(const char *name)
{
    char *value = reply_field(&reply, name);
    if (!value) print_error("no %s in:\n%s\n", name, reply.head);
    assert_non_null(value);
    return value;
}

static void short_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

void await(const char *path, const char *fields, int status, const char *body)
{
    for (int i = 0; i < SERVER_SECONDS * 100; i++) {
        request("GET", path, fields);
        if (reply.status == status && strcmp(reply.body, body) == 0) return;
        short_pause();
    }
    fail_msg("%s is not answered with %d %s", path, status, body);
}

void site_put(const char *name, const char *text, long ns)
{
    tree_text(&tree, name, text);
    struct timespec times[2] = {{SITE_TIME, ns}, {SITE_TIME, ns}};
    assert_int_equal(utimensat(AT_FDCWD, tree_path(&tree, name), times, 0), 0);
}

/* ---- the server's descriptors, of which each of its threads may have its own ---- */

static unsigned open_files_of(const char *thread)
{
    char dir[512], path[1024], target[1024];
    unsigned n = 0;
    const char *below = tree_path(&tree, "root/");
    size_t len = strlen(below);
    snprintf(dir, sizeof dir, "/proc/%d/task/%s/fd", (int)server.pid, thread);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        ssize_t got = readlink(path, target, sizeof target);
        n += got > (ssize_t)len && memcmp(target, below, len) == 0;
    }
    closedir(d);
    return n;
}

unsigned site_open_files(void)
{
    char path[64];
    unsigned most = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)server.pid);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        unsigned n = e->d_name[0] == '.' ? 0 : open_files_of(e->d_name);
        if (n > most) most = n;
    }
    closedir(d);
    return most;
}

void site_await_open_files(unsigned n)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && site_open_files() != n; i++) short_pause();
    assert_int_equal(site_open_files(), n);
}

/* ---- the server's mappings ---- */

bool site_mapped(const char *path)
{
    char name[512], line[1024];
    const char *wanted = tree_path(&tree, path);
    bool found = false;
    snprintf(name, sizeof name, "/proc/%d/maps", (int)server.pid);
    FILE *f = fopen(name, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) found |= strstr(line, wanted) != NULL;
    fclose(f);
    return found;
}

void site_map(const char *path)
{
    for (int i = 0; i < SERVER_SECONDS * 100 && !site_mapped(path); i++)
        assert_int_equal(request("GET", path + strlen("root"), "Range: bytes=0-0\r\n"), 206);
    assert_true(site_mapped(path));
}
