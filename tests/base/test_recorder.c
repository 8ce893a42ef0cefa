#include "base/recorder.h"

#include "base/assert.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct recorder r;
static struct record copy[RECORDS_MIN];

static int setup(void **state)
{
    (void)state;
    return recorder_init(&r, 1);
}

static int teardown(void **state)
{
    (void)state;
    recorder_free(&r);
    return 0;
}

/* A record whose words are its number. */
static void open_one(void)
{
    for (unsigned w = RECORD_OTHERS; w < RECORD_WORDS; w++) record_set(r.next, w, r.written);
    record_open(r.next);
}

static void end_one(void)
{
    record_set(r.next, RECORD_UNTIL, ticks_now());
    recorder_add(&r);
}

static void add_one(void)
{
    open_one();
    end_one();
}

/* Checks that those in a copy are whole, and follow each other. Returns their number. */
static size_t copied(uint64_t *first)
{
    size_t n = recorder_copy(&r, copy, first);
    assert_true(n <= recorder_capacity(&r));
    for (size_t i = 0; i < n; i++) {
        assert_true(i + 1 == n || !record_is_open(&copy[i]));
        for (unsigned w = RECORD_OTHERS; w < RECORD_WORDS; w++)
            assert_int_equal(copy[i].word[w], *first + i);
    }
    return n;
}

static void the_last_are_kept(void **state)
{
    uint64_t first;
    (void)state;
    assert_int_equal(recorder_capacity(&r), RECORDS_MIN);
    assert_int_equal(copied(&first), 0);
    for (unsigned i = 1; i < 3 * RECORDS_MIN; i++) {
        add_one();
        size_t n = i < RECORDS_MIN ? i : RECORDS_MIN - 1; /* the next one may be half written */
        assert_int_equal(copied(&first), n);
        assert_int_equal(first, i - n);
        assert_false(record_is_open(&copy[n - 1]));
    }
}

static void the_open_one_is_the_last(void **state)
{
    uint64_t first;
    (void)state;
    for (unsigned i = 0; i < 3 * RECORDS_MIN; i++) {
        size_t n = copied(&first);
        open_one();
        assert_int_equal(copied(&first), n + 1);
        assert_true(record_is_open(&copy[n]));
        end_one();
    }
}

static void an_instant_is_never_open(void **state)
{
    uint64_t first;
    (void)state;
    for (unsigned i = 0; i < RECORDS_MIN / 2; i++) {
        for (unsigned w = RECORD_OTHERS; w < RECORD_WORDS; w++) record_set(r.next, w, r.written);
        recorder_add_now(&r);
        assert_int_equal(copied(&first), i + 1);
        assert_false(record_is_open(&copy[i]));
    }
}

static bool stop;

static void *write_until_stopped(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) add_one();
    return NULL;
}

static void what_is_copied_meanwhile_is_whole(void **state)
{
    enum { COPIES = 20000 };
    pthread_t thread;
    uint64_t first, before = 0;
    (void)state;
    stop = false;
    assert_int_equal(pthread_create(&thread, NULL, write_until_stopped, NULL), 0);
    for (int i = 0; i < COPIES; i++) {
        copied(&first);
        assert_true(first >= before);
        before = first;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_int_equal(copied(&first), r.written < RECORDS_MIN ? r.written : RECORDS_MIN - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_are_kept),
        TEST(the_open_one_is_the_last),
        TEST(an_instant_is_never_open),
        TEST(what_is_copied_meanwhile_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
