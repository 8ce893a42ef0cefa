#include "io/door.h"

#include "io/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { LISTENER = 7, OTHER = 8, N = 3 };

static struct io *io[N];
static struct door_place place[N];

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        io[i] = calloc(1, sizeof *io[i]);
        assert_non_null(io[i]);
        io[i]->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        assert_true(io[i]->wake_fd >= 0);
        assert_int_equal(door_open(&place[i], io[i], LISTENER), 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        door_close(&place[i]);
        close(io[i]->wake_fd);
        free(io[i]);
    }
    return 0;
}

static bool was_woken(int i)
{
    uint64_t count;
    return read(io[i]->wake_fd, &count, sizeof count) == sizeof count;
}

static void expect_leader(int leader)
{
    for (int i = 0; i < N; i++) assert_int_equal(door_leads(&place[i]), i == leader);
}

static void a_door_is_attended_while_somebody_leads(void **state)
{
    (void)state;
    assert_false(door_is_attended(LISTENER));
    door_wait(&place[0]);
    assert_true(door_is_attended(LISTENER));
    assert_false(door_is_attended(OTHER));
    door_rest(&place[0], 1);
    assert_false(door_is_attended(LISTENER));
    door_end_rest(&place[0]);
    assert_true(door_is_attended(LISTENER));
    door_leave(&place[0]);
    assert_false(door_is_attended(LISTENER));
}

static void the_first_to_wait_leads(void **state)
{
    (void)state;
    expect_leader(-1);
    for (int i = 0; i < N; i++) {
        door_wait(&place[i]);
        door_wait(&place[i]);
        expect_leader(0);
        assert_false(was_woken(i)); /* it knows by itself */
    }
}

static void the_last_to_come_leads_next(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) door_wait(&place[i]);
    door_leave(&place[0]);
    expect_leader(2);
    assert_true(was_woken(2));
    assert_false(was_woken(1));
    door_wait(&place[0]);
    door_leave(&place[2]);
    expect_leader(0);
    assert_true(was_woken(0));
    door_leave(&place[0]);
    expect_leader(1);
    assert_true(was_woken(1));
    door_leave(&place[1]);
    expect_leader(-1);
    door_wait(&place[2]);
    expect_leader(2);
}

static void who_does_not_lead_leaves_quietly(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) door_wait(&place[i]);
    door_leave(&place[2]);
    door_leave(&place[2]);
    expect_leader(0);
    door_leave(&place[0]);
    expect_leader(1);
    assert_false(was_woken(2));
}

static void doors_are_apart(void **state)
{
    struct door_place other;
    (void)state;
    assert_int_equal(door_open(&other, io[1], OTHER), 0);
    door_wait(&place[0]);
    door_wait(&other);
    assert_true(door_leads(&other));
    expect_leader(0);
    door_close(&other);
    expect_leader(0);
}

static void closing_passes_the_lead_on(void **state)
{
    struct door_place first;
    (void)state;
    assert_int_equal(door_open(&first, io[0], LISTENER), 0);
    door_wait(&first);
    door_wait(&place[1]);
    door_close(&first);
    expect_leader(1);
    assert_true(was_woken(1));
}

static void a_door_rests_until_a_descriptor_is_free(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) door_wait(&place[i]);
    door_end_rest(&place[1]);
    assert_false(was_woken(0)); /* it did not rest */
    assert_true(door_rests_until(&place[1]) == 0);
    door_rest(&place[0], 5);
    door_leave(&place[0]);
    assert_true(was_woken(2));
    assert_true(door_rests_until(&place[2]) == 5);
    door_end_rest(&place[1]);
    assert_true(door_rests_until(&place[2]) == 0);
    assert_true(was_woken(2));
    assert_false(was_woken(0) || was_woken(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_to_wait_leads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_door_is_attended_while_somebody_leads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_to_come_leads_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_lead_leaves_quietly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(doors_are_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_passes_the_lead_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_door_rests_until_a_descriptor_is_free, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
