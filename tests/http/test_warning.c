/* How often the operator is told of what clients can cause. */

#include "http/warning.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct warnings w;
static uint64_t now; /* seconds */
static int saved, messages;
static bool no_memory;

/* Linked in place of strdup. */
char *__wrap_strdup(const char *text);
char *__real_strdup(const char *text);

char *__wrap_strdup(const char *text)
{
    return no_memory ? NULL : __real_strdup(text);
}

static int begin(void **state)
{
    (void)state;
    w = (struct warnings){0};
    now = 1000;
    messages = memfd_create("messages", MFD_CLOEXEC);
    return messages < 0;
}

static void listen_to_stderr(void)
{
    saved = dup(STDERR_FILENO);
    dup2(messages, STDERR_FILENO);
}

static void stop_listening(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
}

static void happens(enum http_warning cause, const char *text, int times)
{
    listen_to_stderr();
    for (int i = 0; i < times; i++) warnings_add(&w, cause, text, now * NS_PER_S);
    stop_listening();
}

/* A second at a time, as a core does. */
static void pass(uint64_t seconds)
{
    listen_to_stderr();
    for (; seconds > 0; seconds--) warnings_tell(&w, ++now * NS_PER_S);
    stop_listening();
}

/* What was said since the last call. */
static void expect(const char *want)
{
    char text[2000] = "";
    assert_true(pread(messages, text, sizeof text - 1, 0) >= 0);
    assert_string_equal(text, want);
    assert_int_equal(ftruncate(messages, 0), 0);
    lseek(messages, 0, SEEK_SET);
}

static void finish(void)
{
    listen_to_stderr();
    warnings_end(&w);
    stop_listening();
}

static int end(void **state)
{
    (void)state;
    finish();
    close(messages);
    return 0;
}

static void once_in_ten_seconds(void **state)
{
    (void)state;
    happens(WARN_FILE, "no", 4);
    expect("torc: no\n");
    pass(9);
    happens(WARN_FILE, "no", 1);
    expect("");
    pass(1);
    expect("torc: no (4 times since the last such message)\n");
    happens(WARN_FILE, "no", 1);
    pass(9);
    expect("");
    pass(1);
    expect("torc: no\n");
}

/* After ten seconds without it, it is told at once again. */
static void one_that_did_not_occur_is_forgotten(void **state)
{
    (void)state;
    happens(WARN_FILE, "no", 1);
    pass(10);
    happens(WARN_FILE, "no", 1);
    expect("torc: no\ntorc: no\n");
    assert_null(w.of[WARN_FILE][1].text);
}

/* Also where nobody calls warnings_tell. */
static void it_is_told_when_it_occurs(void **state)
{
    (void)state;
    happens(WARN_FILE, "no", 2);
    now += 10;
    happens(WARN_FILE, "no", 1);
    expect("torc: no\ntorc: no (2 times since the last such message)\n");
}

/* Whatever occurs all the time hides no other. */
static void each_text_is_told(void **state)
{
    char text[] = "a", want[200] = "";
    (void)state;
    for (int i = 0; i < WARNING_TEXTS; i++, text[0]++) {
        happens(WARN_FILE, text, 1);
        happens(WARN_FILE, "a", 1);
        snprintf(want + strlen(want), sizeof want - strlen(want), "torc: %s\n", text);
    }
    happens(WARN_FILE, "one more", 1);
    happens(WARN_FILE, "and another", 2);
    happens(WARN_NO_MEMORY, "one more", 1);
    snprintf(want + strlen(want), sizeof want - strlen(want), "torc: one more\n");
    expect(want);
    pass(10);
    expect(
        "torc: a (8 times since the last such message)\n"
        "torc: and another (3 times since the last such message, 1 of them for other reasons)\n");
}

static void a_text_that_cannot_be_kept_is_limited(void **state)
{
    (void)state;
    no_memory = true;
    happens(WARN_NO_MEMORY, "no", 4);
    expect("torc: no\n");
    pass(9);
    happens(WARN_NO_MEMORY, "no", 1);
    expect("");
    pass(1);
    happens(WARN_NO_MEMORY, "no", 2);
    happens(WARN_FILE, "no", 1);
    no_memory = false;
    expect("torc: no\ntorc: no\n");
}

static void nothing_goes_untold(void **state)
{
    (void)state;
    happens(WARN_FILE, "no", 3);
    expect("torc: no\n");
    finish();
    expect("torc: no (2 times since the last such message)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(once_in_ten_seconds, begin, end),
        cmocka_unit_test_setup_teardown(one_that_did_not_occur_is_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(it_is_told_when_it_occurs, begin, end),
        cmocka_unit_test_setup_teardown(each_text_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_text_that_cannot_be_kept_is_limited, begin, end),
        cmocka_unit_test_setup_teardown(nothing_goes_untold, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
