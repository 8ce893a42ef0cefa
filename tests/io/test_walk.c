/* Opening below a directory without openat2: the same files and the same errors as with it, and
 * nothing outside however the tree changes meanwhile. */

#include "io/walk.h"

#include "../base/random.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

static char *dir;
static int outer, top; /* `dir` and its directory "top" */

static int open_tree(void **state)
{
    (void)state;
    dir = files_open();
    outer = open(dir, O_PATH | O_DIRECTORY);
    assert_int_equal(mkdirat(outer, "top", 0755), 0);
    top = openat(outer, "top", O_PATH | O_DIRECTORY);
    assert_true(top >= 0);
    files_write(dir, "secret", "outside", 7);
    return 0;
}

static int close_tree(void **state)
{
    (void)state;
    close(top);
    close(outer);
    files_close(dir);
    return 0;
}

static void put_dir(const char *name)
{
    assert_int_equal(mkdirat(top, name, 0755), 0);
}

static void put_file(const char *name, const char *text)
{
    int fd = openat(top, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void put_link(const char *name, const char *target)
{
    assert_int_equal(symlinkat(target, top, name), 0);
}

static int opened(const char *path)
{
    int before = dup(0), fd = walk_open(top, path, FLAGS);
    close(before);
    if (fd >= 0) close(fd);
    int after = dup(0);
    close(after);
    assert_int_equal(before, after); /* no descriptor is left open */
    return fd < 0 ? fd : 0;
}

static void expect_text(const char *path, const char *text)
{
    char buf[100] = "";
    int fd = walk_open(top, path, FLAGS);
    if (fd < 0) fail_msg("%s: %s", path, strerror(-fd));
    assert_true(read(fd, buf, sizeof buf - 1) >= 0);
    assert_string_equal(buf, text);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
}

static void paths_and_links(void **state)
{
    (void)state;
    put_dir("a");
    put_dir("a/b");
    put_file("a/b/file", "deep");
    put_file("file", "flat");
    put_link("a/up", "../file");
    put_link("chain", "a/b/../up");
    put_link("a/dir", "b");
    put_link("out", "../secret");
    put_link("a/out", "../../secret");
    put_link("a/b/absolute", "/etc/passwd");
    put_link("root", "/");
    put_link("loop", "loop");
    put_link("nowhere", "missing");
    put_link("proc", "/proc/self/root");
    expect_text("file", "flat");
    expect_text("./file", "flat");
    expect_text("a//b///file", "deep");
    expect_text("a/dir/file", "deep");
    expect_text("a/up", "flat");
    expect_text("chain", "flat");
    expect_text("a/b/../../file", "flat");
    expect_text("a/dir/../dir/../../a/b/file", "deep");
    assert_int_equal(opened("a"), 0);
    assert_int_equal(opened("a/"), 0);
    assert_int_equal(opened("."), 0);
    assert_int_equal(opened("a/.."), 0);
    assert_int_equal(opened("a/dir/"), 0);
    assert_int_equal(opened(""), -ENOENT);
    assert_int_equal(opened("/file"), -EXDEV);
    assert_int_equal(opened(".."), -EXDEV);
    assert_int_equal(opened("../secret"), -EXDEV);
    assert_int_equal(opened("a/../../secret"), -EXDEV);
    assert_int_equal(opened("a/b/../../../top/file"), -EXDEV);
    assert_int_equal(opened("out"), -EXDEV);
    assert_int_equal(opened("a/out"), -EXDEV);
    assert_int_equal(opened("a/b/absolute"), -EXDEV);
    assert_int_equal(opened("root/etc/passwd"), -EXDEV);
    assert_int_equal(opened("proc/etc/passwd"), -EXDEV);
    assert_int_equal(opened("loop"), -ELOOP);
    assert_int_equal(opened("loop/x"), -ELOOP);
    assert_int_equal(opened("nowhere"), -ENOENT);
    assert_int_equal(opened("missing/x"), -ENOENT);
    assert_int_equal(opened("file/"), -ENOTDIR);
    assert_int_equal(opened("file/x"), -ENOTDIR);
    assert_int_equal(opened("a/up/"), -ENOTDIR);
}

static void long_paths(void **state)
{
    (void)state;
    static char path[3 * PATH_MAX];
    put_dir("d");
    put_file("d/file", "here");
    memset(path, 'n', 256);
    assert_int_equal(opened(path), -ENAMETOOLONG);
    path[0] = '\0';
    while (strlen(path) < PATH_MAX - 20) strcat(path, "d/../");
    strcat(path, "d/file");
    expect_text(path, "here");
    memmove(path + 5000, path, strlen(path) + 1);
    memset(path, '/', 5000);
    memcpy(path, "d/..", 4);
    assert_int_equal(opened(path), -ENAMETOOLONG);
    /* Each link makes the path longer by what its target has more. */
    memset(path, '/', sizeof path);
    memcpy(path, "grow", 4);
    memcpy(path + 3000, "x", 2);
    put_link("grow", path);
    int err = opened("grow");
    assert_true(err == -ELOOP || err == -ENAMETOOLONG);
}

/* The rules of protected_symlinks: in a directory that all may write to, a stranger's link is not
 * followed. */
static void links_of_strangers(void **state)
{
    (void)state;
    put_dir("shared");
    put_file("file", "flat");
    put_link("shared/own", "../file");
    put_link("shared/other", "../file");
    if (fchownat(top, "shared/other", 12345, 12345, AT_SYMLINK_NOFOLLOW) < 0) skip();
    expect_text("shared/other", "flat");
    assert_int_equal(fchmodat(top, "shared", 01777, 0), 0);
    expect_text("shared/own", "flat");
    assert_int_equal(opened("shared/other"), -EACCES);
    assert_int_equal(opened("shared/other/"), -EACCES);
}

/* ---- the same as openat2 ---- */

static int by_openat2(const char *path, uint64_t flags)
{
    const struct open_how how = {.flags = flags,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd;
    do /* EAGAIN: something was renamed, anywhere */
        fd = syscall(SYS_openat2, top, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN);
    return fd < 0 ? -errno : (int)fd;
}

static const char *const names[] = {"a", "b", "c", "d", ".", "..", ""};

static void random_path(char *out, unsigned most)
{
    unsigned n = 1 + (unsigned)random_below(most);
    out[0] = '\0';
    for (unsigned i = 0; i < n; i++) {
        /* Plain names are more likely. */
        uint64_t pick = random_below(20);
        strcat(out, names[pick < 13 ? pick % 4 : pick < 15 ? 4 : pick < 19 ? 5 : 6]);
        if (i + 1 < n || random_below(8) == 0) strcat(out, "/");
    }
    if (out[0] == '\0') strcpy(out, "a");
}

/* A directory, a file or a link somewhere below the top, if there is room. */
static void plant_one(void)
{
    char path[64], target[64];
    random_path(path, 4);
    int at = by_openat2(path, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
    if (at < 0) return;
    const char *name = names[random_below(4)];
    random_path(target, 4);
    switch (random_below(3)) {
    case 0: fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644); break;
    case 1:
        if (mkdirat(at, name, 0755) < 0) break;
        break;
    default:
        if (symlinkat(target, at, name) < 0) break;
    }
    if (fd >= 0) close(fd);
    close(at);
}

static void compare(const char *path)
{
    int want = by_openat2(path, FLAGS), got = walk_open(top, path, FLAGS);
    struct stat a, b;
    if (want < 0 || got < 0) {
        if (want != got) fail_msg("%s: %d instead of %d", path, got, want);
        return;
    }
    assert_int_equal(fstat(want, &a), 0);
    assert_int_equal(fstat(got, &b), 0);
    if (a.st_ino != b.st_ino || a.st_dev != b.st_dev) fail_msg("%s: another file", path);
    assert_int_equal(fcntl(want, F_GETFL), fcntl(got, F_GETFL) & ~O_NOFOLLOW);
    close(want);
    close(got);
}

static void as_openat2(void **state)
{
    char path[64];
    int fd = by_openat2(".", FLAGS);
    if (fd < 0) skip();
    close(fd);
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 200; i++) plant_one();
        for (int i = 0; i < 1000; i++) {
            random_path(path, 7);
            compare(path);
        }
        close_tree(state);
        open_tree(state);
    }
}

/* ---- while the tree changes ---- */

static atomic_bool enough;

/* Exchanges two names again and again, an even number of times. */
static void *exchange(void *arg)
{
    const char *const *pair = arg;
    for (bool odd = false; odd || !enough; odd = !odd)
        if (syscall(SYS_renameat2, top, pair[0], top, pair[1], 2 /* RENAME_EXCHANGE */) < 0) break;
    return NULL;
}

/* Never opens what is outside, and finds the file often enough. */
static void under_exchange(const char *path, const char *one, const char *other)
{
    const char *pair[] = {one, other};
    struct stat secret, st;
    pthread_t thread;
    unsigned found = 0;
    assert_int_equal(fstatat(outer, "secret", &secret, 0), 0);
    enough = false;
    assert_int_equal(pthread_create(&thread, NULL, exchange, pair), 0);
    for (int i = 0; i < 200000 && (i < 20000 || !found); i++) {
        int fd = walk_open(top, path, FLAGS);
        if (fd < 0) continue;
        assert_int_equal(fstat(fd, &st), 0);
        assert_false(st.st_ino == secret.st_ino && st.st_dev == secret.st_dev);
        close(fd);
        found++;
    }
    enough = true;
    pthread_join(thread, NULL);
    assert_true(found > 0);
}

static void nothing_outside_during_renames(void **state)
{
    (void)state;
    put_dir("d");
    put_file("d/secret", "inside");
    put_link("link", "..");
    put_link("absolute", dir);
    under_exchange("d/secret", "d", "link");
    under_exchange("d/secret", "d", "absolute");
    put_dir("deep");
    put_dir("deep/er");
    put_dir("deep/er/x");
    put_link("deep/up", "../..");
    put_file("deep/secret", "inside");
    under_exchange("deep/er/../secret", "deep/er", "deep/up");
    under_exchange("deep/er/x/../../secret", "deep/er", "deep/up");
    put_file("file", "inside");
    put_link("out", "../secret");
    under_exchange("file", "file", "out");
}

/* A directory that is moved while the walk is below it: `..` does not follow it to its new place.
 */
static void nothing_outside_when_a_directory_moves(void **state)
{
    (void)state;
    put_dir("in");
    put_dir("in/a");
    put_dir("in/a/b");
    put_file("secret", "inside");
    put_file("in/secret", "inside");
    put_dir("a");
    put_dir("a/b");
    under_exchange("in/a/b/../../secret", "in/a", "a");
    under_exchange("a/b/../../secret", "in/a", "a");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths_and_links, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(long_paths, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(links_of_strangers, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(as_openat2, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(nothing_outside_during_renames, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(nothing_outside_when_a_directory_moves, open_tree,
                                        close_tree),
    };
    return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
