/* Which file a path leads to, and which files no path may reach. */

#include "site.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET "outside of the root"

static int make(void **state)
{
    site_make(state);
    tree_text(&tree, "secret.txt", SECRET);
    tree_text(&tree, "root/a.txt", "a");
    tree_text(&tree, "root/sub/b c.txt", "b c");
    tree_text(&tree, "root/sub/index.html", "<p>sub");
    tree_text(&tree, "root/sub/deep/x", "x");
    tree_dir(&tree, "root/empty");
    tree_dir(&tree, "root/odd/index.html");
    return 0;
}

static int start(void **state)
{
    (void)state;
    site_start();
    return 0;
}

static void files_by_path(void **state)
{
    (void)state;
    expect("/a.txt", 200, "a");
    expect("/sub/b%20c.txt", 200, "b c");
    expect("/%73ub%2Fb%20c%2etxt", 200, "b c");
    expect("/a.txt?query=/../x", 200, "a");
    expect("http://other.example/a.txt", 200, "a");
    static const char *const none[] = {
        "/none",        "/A.TXT",       "/sub/none",     "/a.txt/none",
        "/a.txt/",      "/sub/deep/x/", "//a.txt",       "/sub//index.html",
        "/sub/deep//x", "/a.txt%20",    "/sub\\deep\\x", "/%FF%FE",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) expect(none[i], 404, "404 Not Found\n");
}

static void malformed_paths(void **state)
{
    (void)state;
    static const char *const bad[] = {"/a.txt%00", "/%00", "/a.txt%00.html", "/%",
                                      "/%4",       "/%zz", "/a.txt%"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) expect(bad[i], 400, "400 Bad Request\n");
    expect("/a.txt", 200, "a"); /* on the same connection */
}

static void directories(void **state)
{
    (void)state;
    expect("/sub/", 200, "<p>sub");
    expect_field("Content-Type", "text/html; charset=utf-8");
    expect("/", 404, "404 Not Found\n");
    expect("/empty/", 404, "404 Not Found\n"); /* no listing */
    expect("/odd/", 404, "404 Not Found\n");
    tree_text(&tree, "root/index.html", "<p>root");
    expect("/", 200, "<p>root");
    expect("/?q", 200, "<p>root");
    assert_int_equal(unlink(tree_path(&tree, "root/index.html")), 0);
}

static void slash_redirects(void **state)
{
    (void)state;
    static const char *const redirects[][2] = {
        {"/sub", "/sub/"},
        {"/sub?", "/sub/?"},
        {"/sub?a=b&c=//d", "/sub/?a=b&c=//d"},
        {"/%73ub", "/%73ub/"},
        {"/sub/deep", "/sub/deep/"},
        {"/sub%2fdeep", "/sub%2fdeep/"},
        {"http://other.example/sub?x", "/sub/?x"},
        {"/odd/index.html", "/odd/index.html/"},
    };
    for (size_t i = 0; i < sizeof redirects / sizeof *redirects; i++) {
        assert_int_equal(get(redirects[i][0]), 301);
        expect_field("Location", redirects[i][1]);
        assert_int_equal(request("HEAD", redirects[i][0], ""), 301);
    }
}

/* Browsers take a Location of "//host" or "/\host" for another host. */
static void redirects_stay_on_this_host(void **state)
{
    (void)state;
    tree_dir(&tree, "root/\\evil.example");
    static const char *const paths[] = {
        "//sub",
        "//sub/deep",
        "///sub",
        "//evil.example/sub",
        "/%2fsub",
        "/%2f%2fsub",
        "/sub//deep",
        "//evil.example/..",
        "/\\evil.example",
        "/%5cevil.example",
        "/%5Cevil.example?//x",
        "http://other.example//sub",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        get(paths[i]);
        assert_true(reply.status == 404 || reply.status == 301);
        if (reply.status == 404) continue;
        char *location = copy_field("Location");
        assert_int_equal(location[0], '/');
        assert_true(location[1] != '/' && location[1] != '\\');
        free(location);
    }
}

static void hidden_files(void **state)
{
    (void)state;
    tree_text(&tree, "root/.htpasswd", SECRET);
    tree_text(&tree, "root/.git/config", SECRET);
    tree_text(&tree, "root/sub/.hidden", SECRET);
    tree_text(&tree, "root/...", SECRET);
    tree_text(&tree, "root/.well-known/security.txt", "Contact: us");
    tree_text(&tree, "root/.well-known/.hidden", SECRET);
    tree_text(&tree, "root/.well-known2", SECRET);
    static const char *const hidden[] = {
        "/.htpasswd",   "/%2ehtpasswd", "/.git/config",         "/.git/",        "/.git",
        "/sub/.hidden", "/...",         "/.well-known/.hidden", "/.well-known2", "/.",
        "/./a.txt",     "/sub/.",       "/sub/./index.html",
    };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        expect(hidden[i], 404, "404 Not Found\n");
    expect("/.well-known/security.txt", 200, "Contact: us");
    expect("/%2Ewell-known/security.txt", 200, "Contact: us");
}

static void paths_stay_below_the_root(void **state)
{
    (void)state;
    char absolute[256];
    snprintf(absolute, sizeof absolute, "/%s", tree_path(&tree, "secret.txt"));
    const char *const attacks[] = {
        "/..",
        "/../",
        "/../secret.txt",
        "/../../../../../../../../etc/passwd",
        "/sub/../../secret.txt",
        "/sub/../a.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E/%2e%2e/etc/passwd",
        "/.%2e/secret.txt",
        "/..%2fsecret.txt",
        "/a%2f..%2f..%2fsecret.txt",
        "/sub%2f..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/sub/..%2f..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/..;/secret.txt",
        "/..%c0%afsecret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/root/../../secret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/%2f/etc/passwd",
        absolute,
    };
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
        expect(attacks[i], 404, "404 Not Found\n");
    expect("/..%00/secret.txt", 400, "400 Bad Request\n");
}

static void links(void **state)
{
    (void)state;
    tree_link(&tree, "root/in", "a.txt");
    tree_link(&tree, "root/sub/back", "../a.txt");
    tree_link(&tree, "root/way", "sub/deep/../../sub");
    tree_link(&tree, "root/through", "way");
    expect("/in", 200, "a");
    expect("/sub/back", 200, "a");
    expect("/way/deep/x", 200, "x");
    expect("/through/", 200, "<p>sub");

    tree_link(&tree, "root/up", "..");
    tree_link(&tree, "root/top", "/");
    tree_link(&tree, "root/out", "../secret.txt");
    tree_link(&tree, "root/far", tree_path(&tree, "secret.txt"));
    tree_link(&tree, "root/absolute", tree_path(&tree, "root/a.txt"));
    tree_link(&tree, "root/round", "../root/a.txt");
    tree_link(&tree, "root/self", "self");
    tree_link(&tree, "root/dangling", "nothing");
    tree_link(&tree, "root/process", "/proc/self/root");
    tree_link(&tree, "root/sub/index.html.gz", "../../secret.txt");
    static const char *const refused[] = {
        "/up/secret.txt", "/up",   "/up/",   "/up/root/a.txt", "/top/etc/passwd",
        "/top/",          "/top",  "/out",   "/far",           "/absolute",
        "/round",         "/self", "/self/", "/dangling",      "/process/etc/passwd",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect(refused[i], 404, "404 Not Found\n");

    /* A precompressed variant does not lead out either. */
    assert_int_equal(request("GET", "/sub/", "Accept-Encoding: gzip\r\n"), 200);
    assert_string_equal(reply.body, "<p>sub");
    expect_field("Content-Encoding", NULL);
    expect_field("Vary", NULL);
}

/* Links in /proc/PID lead to files that no path reaches. */
static void links_of_proc(void **state)
{
    (void)state;
    char root[64], open_dir[64];
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(root, sizeof root, "/proc/%d", (int)getpid());
    snprintf(open_dir, sizeof open_dir, "/fd/%d/etc/passwd", fd);
    site_stop(state);
    server_start(&server, "--root", root);
    client_open(&client, &server);
    assert_int_equal(get("/status"), 200); /* a regular file of size 0 in there */
    const char *const links[] = {"/root/etc/passwd", "/cwd/", "/cwd",   "/exe",
                                 "/root/",           "/root", open_dir, "/fd/0"};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        expect(links[i], 404, "404 Not Found\n");
    close(fd);
}

static void special_files_are_not_served(void **state)
{
    (void)state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", tree_path(&tree, "root/socket"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(mkfifo(tree_path(&tree, "root/pipe"), 0644), 0);
    assert_int_equal(mkfifo(tree_path(&tree, "root/a.txt.br"), 0644), 0);
    tree_dir(&tree, "root/a.txt.gz");
    expect("/socket", 404, "404 Not Found\n");
    expect("/pipe", 404, "404 Not Found\n"); /* answered although the pipe has no writer */
    expect("/pipe/", 404, "404 Not Found\n");
    assert_int_equal(request("GET", "/a.txt", "Accept-Encoding: br, gzip\r\n"), 200);
    assert_string_equal(reply.body, "a");
    expect_field("Vary", NULL);
    unlink(tree_path(&tree, "root/a.txt.br"));
    rmdir(tree_path(&tree, "root/a.txt.gz"));
    close(fd);
}

static void long_names(void **state)
{
    (void)state;
    char name[8192];
    memset(name, 'n', sizeof name);
    name[0] = '/';
    static const size_t lengths[] = {200, 255, 256, 257, 1000, 4094, 4095, 4096, 4097, 8000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        name[lengths[i]] = '\0';
        expect(name, 404, "404 Not Found\n");
        name[lengths[i]] = 'n';
    }
    for (size_t i = 0; i < 8000; i += 4) memcpy(name + i, "/sub", 4);
    name[8000] = '\0';
    expect(name, 404, "404 Not Found\n");

    /* The longest possible name. */
    char longest[5 + 255 + 1] = "root/";
    memset(longest + 5, 'l', 255);
    tree_text(&tree, longest, "long");
    expect(longest + 4, 200, "long");
}

/* A directory and a link that leads out are swapped while a file in it is requested. */
static void a_race_does_not_lead_out(void **state)
{
    (void)state;
    tree_text(&tree, "outside/f", SECRET);
    tree_text(&tree, "root/place/f", "inside");
    tree_link(&tree, "root/other", "../outside");
    const char *place = tree_path(&tree, "root/place"), *other = tree_path(&tree, "root/other");
    site_stop(state);
    site_start("--file-cache-ttl", "0");
    pid_t swapper = fork();
    assert_true(swapper >= 0);
    if (swapper == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < 10000000; i++)
            syscall(SYS_renameat2, AT_FDCWD, place, AT_FDCWD, other, RENAME_EXCHANGE);
        _exit(0);
    }
    unsigned answered[3] = {0};
    for (int i = 0; i < 2000; i++) {
        get("/place/f");
        if (reply.status == 200) assert_string_equal(reply.body, "inside");
        if (reply.status != 200) assert_true(reply.status == 404 || reply.status == 503);
        answered[reply.status == 200 ? 0 : reply.status == 404 ? 1 : 2]++;
    }
    kill(swapper, SIGKILL);
    assert_int_equal(waitpid(swapper, NULL, 0), swapper);
    print_message("inside %u, refused %u, too busy %u\n", answered[0], answered[1], answered[2]);
}

/* Drops the capabilities by which root may read everything. */
static void drop_override(void *arg)
{
    (void)arg;
    if (geteuid() != 0) return;
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH);
}

static void permissions(void **state)
{
    tree_text(&tree, "root/locked.txt", SECRET);
    tree_text(&tree, "root/locked/f", SECRET);
    tree_text(&tree, "root/open.txt", "open");
    tree_text(&tree, "root/open.txt.gz", SECRET);
    static const char *const names[] = {"root/locked.txt", "root/locked", "root/open.txt.gz"};
    for (size_t i = 0; i < 3; i++) assert_int_equal(chmod(tree_path(&tree, names[i]), 0), 0);
    site_stop(state);
    server_start_prepared(&server, drop_override, NULL,
                          (const char *const[]){"--root", tree_path(&tree, "root"), NULL});
    client_open(&client, &server);
    expect("/locked.txt", 403, "403 Forbidden\n");
    expect("/locked/f", 403, "403 Forbidden\n");
    expect("/locked/", 403, "403 Forbidden\n");
    expect("/open.txt", 200, "open");
    assert_int_equal(request("GET", "/open.txt", "Accept-Encoding: gzip\r\n"), 200);
    assert_string_equal(reply.body, "open");
    assert_int_equal(chmod(tree_path(&tree, "root/locked"), 0755), 0);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_by_path, start, site_stop),
        cmocka_unit_test_setup_teardown(malformed_paths, start, site_stop),
        cmocka_unit_test_setup_teardown(directories, start, site_stop),
        cmocka_unit_test_setup_teardown(slash_redirects, start, site_stop),
        cmocka_unit_test_setup_teardown(redirects_stay_on_this_host, start, site_stop),
        cmocka_unit_test_setup_teardown(hidden_files, start, site_stop),
        cmocka_unit_test_setup_teardown(paths_stay_below_the_root, start, site_stop),
        cmocka_unit_test_setup_teardown(links, start, site_stop),
        cmocka_unit_test_setup_teardown(links_of_proc, start, site_stop),
        cmocka_unit_test_setup_teardown(special_files_are_not_served, start, site_stop),
        cmocka_unit_test_setup_teardown(long_names, start, site_stop),
        cmocka_unit_test_setup_teardown(a_race_does_not_lead_out, start, site_stop),
        cmocka_unit_test_setup_teardown(permissions, start, site_stop),
    };
    return cmocka_run_group_tests(tests, make, site_remove);
}
