/* After SIGHUP no thread of the server holds the old access log, so that the disk gets its room
 * back. A thread with a descriptor table of its own keeps what was open when it got it; that is not
 * asked of such threads. */

#include "client.h"
#include "files.h"
#include "refuse.h"
#include "stats.h"

#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool shares_descriptors(pid_t process, pid_t thread)
{
    return syscall(SYS_kcmp, process, thread, KCMP_FILES, 0, 0) == 0;
}

/* Whether a descriptor of this thread refers to the file. */
static bool holds(pid_t process, pid_t thread, const struct stat *file)
{
    char path[80];
    struct stat st;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/task/%d/fd", (int)process, (int)thread);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        found |= fstatat(dirfd(d), e->d_name, &st, 0) == 0 && st.st_dev == file->st_dev &&
                 st.st_ino == file->st_ino;
    closedir(d);
    return found;
}

/* The number of threads that share the descriptors of the process, and of those that hold the
 * file. */
static unsigned count_threads(pid_t process, const struct stat *file, unsigned *holding)
{
    char path[40];
    unsigned n = 0;
    *holding = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        pid_t thread = atoi(e->d_name);
        if (thread <= 0 || !shares_descriptors(process, thread)) continue;
        n++;
        *holding += holds(process, thread, file);
    }
    closedir(d);
    return n;
}

static size_t lines_of(const char *path)
{
    char *text = files_read(path);
    size_t n = 0;
    for (const char *at = text; at && (at = strchr(at, '\n')); at++) n++;
    free(text);
    return n;
}

static void test_nobody_holds_the_old_file(void **state)
{
    struct server s;
    struct reply r = {0};
    struct stat old, new;
    unsigned holding;
    (void)state;
    char *dir = files_open(), *log = files_path(dir, "log"), *moved = files_path(dir, "log.1");
    server_start(&s, "--cores", server_two_cores(), "--access-log", log);
    client_fetch(&s.addr, "/plaintext", &r);
    assert_int_equal(stat(log, &old), 0);
    if (!shares_descriptors(s.pid, s.pid)) {
        print_message("skipped: kcmp(2) is refused here\n");
        server_stop(&s);
        skip();
    }
    unsigned threads = count_threads(s.pid, &old, &holding);
    assert_true(threads >= 2); /* the main thread and that of the log */
    assert_int_equal(holding, threads);

    assert_int_equal(rename(log, moved), 0);
    server_signal(&s, SIGHUP);
    for (int i = 0; i < SERVER_SECONDS * 100 && stat(log, &new) < 0; i++) sleep_ms(10);
    assert_int_equal(stat(log, &new), 0);
    for (int i = 0; i < SERVER_SECONDS * 100; i++) { /* it is closed after the new one is open */
        count_threads(s.pid, &old, &holding);
        if (holding == 0) break;
        sleep_ms(10);
    }
    assert_int_equal(holding, 0);
    threads = count_threads(s.pid, &new, &holding);
    assert_int_equal(holding, threads);
    client_fetch(&s.addr, "/plaintext", &r);
    reply_free(&r);
    server_stop(&s);
    assert_int_equal(lines_of(moved), 1);
    assert_int_equal(lines_of(log), 1);
    free(log);
    free(moved);
    files_close(dir);
}

static bool anybody_holds(pid_t process, const struct stat *file)
{
    char path[40];
    bool held = false;
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        held |= atoi(e->d_name) > 0 && holds(process, atoi(e->d_name), file);
    closedir(d);
    return held;
}

static void rotate(void (*prepare)(void *arg), void *arg, const char *option)
{
    struct server s;
    struct stat old;
    char *dir = files_open(), *log = files_path(dir, "log"), *moved = files_path(dir, "log.1");
    server_start_prepared(&s, prepare, arg,
                          (const char *const[]){"--access-log", log, option, NULL});
    assert_int_equal(stat(log, &old), 0);
    assert_true(anybody_holds(s.pid, &old));
    assert_int_equal(rename(log, moved), 0);
    server_signal(&s, SIGHUP);
    for (int i = 0; i < SERVER_SECONDS * 100 && anybody_holds(s.pid, &old); i++) sleep_ms(10);
    assert_false(anybody_holds(s.pid, &old));
    server_stop(&s);
    free(log);
    free(moved);
    files_close(dir);
}

/* The admin side then closes what it does not need one by one. */
static void test_nor_without_close_range(void **state)
{
    (void)state;
    rotate(refuse_call, &(struct refusal){.call = SYS_close_range, .err = ENOSYS}, NULL);
}

static void test_nor_do_cores_with_descriptors_of_their_own(void **state)
{
    (void)state;
    rotate(NULL, NULL, "--private-descriptors");
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_holds_the_old_file),
        cmocka_unit_test(test_nor_without_close_range),
        cmocka_unit_test(test_nor_do_cores_with_descriptors_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
