/* The supply and the pipelines that it fills, without connections. */

#include "load/supply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { PIPELINES = 3, DEPTH = 2 };

static struct plan plan;
static struct io io;
static struct record record;
static struct supply supply;
static struct pipeline pipeline[PIPELINES];

static void run(struct io_task *t)
{
    (void)t;
}

static int set_up(void **state)
{
    (void)state;
    plan = (struct plan){.n_cores = 1, .n_requests = 2};
    io = (struct io){.now = NS_PER_S, .alarm = WHEEL_NEVER};
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0 || !record_init(&record, &plan, 0, fd)) return -1;
    supply_init(&supply, &record, &io, 0);
    for (int i = 0; i < PIPELINES; i++) {
        if (!pipeline_init(&pipeline[i], DEPTH, 0, run)) return -1;
        pipeline_open(&pipeline[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < PIPELINES; i++) pipeline_free(&pipeline[i]);
    supply_free(&supply);
    close(record.completed_fd);
    record_free(&record);
    return 0;
}

/* An open loop of one request each second, whose first is due now. */
static void start_open_loop(void)
{
    plan.rate = 1;
    supply_enter(&supply, PHASE_MEASURE);
}

static uint32_t length(const struct pipeline *p)
{
    return p->tail - p->head;
}

/* ---- pipelines ---- */

static void a_pipeline_has_room_up_to_its_depth(void **state)
{
    (void)state;
    supply_enter(&supply, PHASE_MEASURE);
    supply_fill(&supply, &pipeline[0]);
    assert_int_equal(length(&pipeline[0]), DEPTH);
    assert_false(pipeline_has_room(&pipeline[0]));
    assert_true(pipeline[0].task.queued); /* to send them at the end of the turn */
    pipeline[0].head++;
    assert_true(pipeline_has_room(&pipeline[0]));
}

static void a_pipeline_has_room_up_to_its_limit(void **state)
{
    (void)state;
    pipeline[0].limit = 3;
    supply_enter(&supply, PHASE_MEASURE);
    for (int i = 0; i < 5; i++) {
        supply_fill(&supply, &pipeline[0]);
        pipeline[0].head = pipeline[0].tail;
    }
    assert_int_equal(pipeline[0].assigned, 3);
    pipeline_open(&pipeline[0]);
    assert_true(pipeline_has_room(&pipeline[0]));
}

static void a_stopped_pipeline_gets_no_requests(void **state)
{
    (void)state;
    start_open_loop();
    io.now--;
    supply_fill(&supply, &pipeline[0]);
    supply_fill(&supply, &pipeline[1]);
    pipeline_stop(&pipeline[0]);
    io.now++;
    supply_dispatch(&supply);
    assert_int_equal(length(&pipeline[0]), 0);
    assert_int_equal(length(&pipeline[1]), 1);
}

/* ---- closed loops ---- */

static void requests_are_issued_in_turn(void **state)
{
    (void)state;
    supply_enter(&supply, PHASE_MEASURE);
    supply_fill(&supply, &pipeline[0]);
    assert_int_equal(pipeline_at(&pipeline[0], 0)->request, 0);
    assert_int_equal(pipeline_at(&pipeline[0], 1)->request, 1);
    supply_fill(&supply, &pipeline[1]);
    assert_int_equal(pipeline_at(&pipeline[1], 0)->request, 0);
}

static void no_more_than_the_share_is_issued(void **state)
{
    (void)state;
    plan.count = record.share = 3;
    supply_enter(&supply, PHASE_MEASURE);
    for (int i = 0; i < PIPELINES; i++) supply_fill(&supply, &pipeline[i]);
    assert_int_equal(length(&pipeline[0]) + length(&pipeline[1]) + length(&pipeline[2]), 3);
    assert_int_equal(record.counts.issued, 3);
}

static void a_returned_request_is_replaced(void **state)
{
    (void)state;
    plan.count = record.share = 2;
    supply_enter(&supply, PHASE_MEASURE);
    supply_fill(&supply, &pipeline[0]);
    supply_return(&supply, pipeline_oldest(&pipeline[0]));
    assert_int_equal(record.counts.issued, 1);
    supply_fill(&supply, &pipeline[1]);
    assert_int_equal(length(&pipeline[1]), 1);
}

static void nothing_is_issued_before_and_after_the_measurement(void **state)
{
    (void)state;
    supply_fill(&supply, &pipeline[0]);
    assert_int_equal(length(&pipeline[0]), 0);
    supply_enter(&supply, PHASE_MEASURE);
    supply_enter(&supply, PHASE_DRAIN);
    supply_fill(&supply, &pipeline[0]);
    assert_int_equal(length(&pipeline[0]), 0);
    assert_false(supply_continues(&supply));
    assert_int_equal(record.counts.draining, 1);
}

static void warmup_requests_are_not_counted(void **state)
{
    (void)state;
    plan.count = record.share = 10;
    supply_enter(&supply, PHASE_WARM);
    supply_fill(&supply, &pipeline[0]);
    assert_false(pipeline_oldest(&pipeline[0])->counted);
    supply_enter(&supply, PHASE_MEASURE);
    supply_fill(&supply, &pipeline[1]);
    assert_true(pipeline_oldest(&pipeline[1])->counted);
    assert_int_equal(record.counts.issued, DEPTH);
}

/* ---- open loops ---- */

static void requests_are_issued_when_they_are_due(void **state)
{
    (void)state;
    start_open_loop();
    supply_fill(&supply, &pipeline[0]);
    assert_int_equal(length(&pipeline[0]), 1);
    assert_int_equal(pipeline_oldest(&pipeline[0])->intended, NS_PER_S);
    assert_int_equal(io.alarm, 2 * NS_PER_S);
    io.now = 2 * NS_PER_S + 5;
    supply_dispatch(&supply);
    assert_int_equal(length(&pipeline[0]), 2);
    assert_int_equal(pipeline_at(&pipeline[0], 1)->intended, 2 * NS_PER_S);
    assert_int_equal(io.alarm, WHEEL_NEVER); /* no pipeline has room */
}

static void idle_pipelines_take_turns(void **state)
{
    (void)state;
    start_open_loop();
    io.now--;
    for (int i = 0; i < PIPELINES; i++) supply_fill(&supply, &pipeline[i]);
    io.now += 3 * NS_PER_S;
    supply_dispatch(&supply);
    for (int i = 0; i < PIPELINES; i++) {
        assert_int_equal(length(&pipeline[i]), 1);
        assert_int_equal(pipeline_oldest(&pipeline[i])->intended, (i + 1) * NS_PER_S);
    }
}

static void a_retried_request_keeps_its_due_time(void **state)
{
    (void)state;
    start_open_loop();
    supply_fill(&supply, &pipeline[0]);
    pipeline_stop(&pipeline[0]);
    supply_return(&supply, pipeline_oldest(&pipeline[0]));
    supply_enter(&supply, PHASE_DRAIN);
    assert_true(supply_continues(&supply)); /* a connection for it is still wanted */
    supply_fill(&supply, &pipeline[1]);
    assert_int_equal(pipeline_oldest(&pipeline[1])->intended, NS_PER_S);
    assert_int_equal(record.counts.issued, 1);
    assert_false(supply_continues(&supply));
}

static void many_retries_keep_their_order(void **state)
{
    (void)state;
    pipeline[0].depth = 1;
    start_open_loop();
    for (uint64_t i = 0; i < 1000; i++)
        supply_return(&supply, &(struct pending){.intended = i, .counted = true});
    for (uint64_t i = 0; i < 1000; i++) {
        supply_fill(&supply, &pipeline[0]);
        assert_int_equal(pipeline_oldest(&pipeline[0])->intended, i);
        pipeline[0].head = pipeline[0].tail;
    }
}

/* Takes the oldest request from a pipeline whose client gives up. */
static bool give_up(struct pipeline *p)
{
    struct pending oldest = *pipeline_oldest(p);
    p->head++;
    pipeline_stop(p);
    return supply_retry(&supply, &oldest);
}

static void a_client_tries_again_after_a_pause(void **state)
{
    (void)state;
    plan.retries = 1;
    plan.retry_pause = NS_PER_S / 2;
    start_open_loop();
    supply_fill(&supply, &pipeline[0]);
    supply_fill(&supply, &pipeline[1]);
    assert_int_equal(io.alarm, 2 * NS_PER_S);
    assert_true(give_up(&pipeline[0]));
    assert_int_equal(io.alarm, NS_PER_S + NS_PER_S / 2); /* for the connection that is idle */
    io.now = io.alarm - 1;
    supply_dispatch(&supply);
    assert_int_equal(length(&pipeline[1]), 0);
    io.now++;
    supply_dispatch(&supply);
    assert_int_equal(length(&pipeline[1]), 1);
    assert_int_equal(pipeline_oldest(&pipeline[1])->intended, NS_PER_S);
    assert_int_equal(record.counts.retries, 1);
    assert_int_equal(record.counts.issued, 1);
    assert_false(give_up(&pipeline[1])); /* that was its last attempt */
    assert_int_equal(record.counts.retries, 1);
}

static void retries_and_new_requests_are_sent_in_the_order_of_their_times(void **state)
{
    static const uint64_t want[] = {2, 1, 3, 2};
    (void)state;
    plan.retries = 1;
    plan.retry_pause = NS_PER_S + NS_PER_S / 2;
    pipeline[2].depth = 1;
    start_open_loop();
    supply_fill(&supply, &pipeline[0]);
    assert_true(give_up(&pipeline[0])); /* again at 2.5 s */
    io.now = 5 * NS_PER_S;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct pipeline *p = &pipeline[2];
        supply_fill(&supply, p);
        assert_int_equal(pipeline_oldest(p)->intended, want[i] * NS_PER_S);
        struct pending oldest = *pipeline_oldest(p);
        p->head++;
        if (i == 0) {
            io.now = 2 * NS_PER_S;
            assert_true(supply_retry(&supply, &oldest)); /* again at 3.5 s */
            io.now = 5 * NS_PER_S;
        }
    }
    assert_int_equal(record.counts.retries, 2);
}

static void retries_go_on_after_the_measurement(void **state)
{
    (void)state;
    plan.retries = 2;
    plan.retry_pause = NS_PER_S / 2;
    start_open_loop();
    supply_fill(&supply, &pipeline[0]);
    supply_fill(&supply, &pipeline[1]);
    assert_true(give_up(&pipeline[0]));
    supply_enter(&supply, PHASE_DRAIN);
    assert_true(supply_continues(&supply)); /* a connection for it is still wanted */
    assert_int_equal(io.alarm, NS_PER_S + NS_PER_S / 2);
    io.now = io.alarm;
    supply_dispatch(&supply);
    assert_int_equal(length(&pipeline[1]), 1);
    assert_false(supply_continues(&supply));
    assert_true(give_up(&pipeline[1]));
    assert_true(supply_continues(&supply));
    supply_enter(&supply, PHASE_END);
    assert_false(supply_continues(&supply));
    supply_count_left(&supply);
    assert_int_equal(supply.unanswered, 1);
}

static void unsent_requests_have_waited_until_the_end(void **state)
{
    (void)state;
    start_open_loop();
    io.now += 4 * NS_PER_S - 1;
    supply_enter(&supply, PHASE_DRAIN); /* no pipeline had room */
    supply_count_left(&supply);
    assert_int_equal(supply.unsent, 4);
    assert_int_equal(record.corrected->count, 4);
    assert_int_equal(record.corrected->max, 4 * NS_PER_S - 1);
}

static void many_unsent_requests_are_spread_evenly(void **state)
{
    (void)state;
    plan.rate = 1e8;
    supply_enter(&supply, PHASE_MEASURE);
    io.now += NS_PER_S;
    supply_enter(&supply, PHASE_DRAIN);
    supply_count_left(&supply);
    assert_in_range(supply.unsent, 99999999, 100000001);
    assert_int_equal(record.corrected->count, supply.unsent);
    uint64_t half = histogram_quantile(record.corrected, 0.5);
    assert_in_range(half, NS_PER_S * 49 / 100, NS_PER_S * 51 / 100);
}

static void no_more_than_the_count_is_unsent(void **state)
{
    (void)state;
    plan.count = record.share = 6;
    start_open_loop();
    supply_fill(&supply, &pipeline[0]); /* the first, due now */
    supply_fill(&supply, &pipeline[0]);
    io.now += 3 * NS_PER_S - 1;
    supply_enter(&supply, PHASE_DRAIN); /* the second takes the room that is left */
    supply_count_left(&supply);
    assert_int_equal(record.counts.issued, 2);
    assert_int_equal(supply.unsent, 1); /* the others were not due */
    supply.measure_to += 100 * NS_PER_S;
    supply_count_left(&supply);
    assert_int_equal(supply.unsent, 4);
    assert_int_equal(record.corrected->count, 4);
}

static void no_more_than_a_large_count_is_unsent(void **state)
{
    (void)state;
    plan.rate = 1e8;
    plan.count = record.share = 30000000;
    supply_enter(&supply, PHASE_MEASURE);
    io.now += NS_PER_S;
    supply_enter(&supply, PHASE_DRAIN);
    supply_count_left(&supply);
    assert_int_equal(supply.unsent, 30000000);
    assert_int_equal(record.corrected->count, 30000000);
}

static void what_waits_for_its_next_attempt_is_unanswered(void **state)
{
    (void)state;
    plan.retries = 1;
    plan.count = record.share = 2;
    start_open_loop();
    supply_fill(&supply, &pipeline[0]);
    assert_true(give_up(&pipeline[0]));
    supply_return(&supply, &(struct pending){.intended = NS_PER_S, .counted = true});
    counter_set(&record.counts.issued, 2);
    supply_enter(&supply, PHASE_DRAIN);
    supply_enter(&supply, PHASE_END);
    supply_count_left(&supply);
    assert_int_equal(supply.unanswered, 1);
    assert_int_equal(supply.unsent, 1); /* a server gave it back */
    assert_int_equal(record.counts.issued, 1);
    assert_int_equal(record.corrected->count, 2);
}

static void what_was_never_sent_is_not_unanswered(void **state)
{
    (void)state;
    struct pending first = {.intended = NS_PER_S, .counted = true}, again = first;
    again.retries = 1;
    start_open_loop();
    supply_fill(&supply, &pipeline[0]);
    counter_set(&record.counts.retries, 1);
    supply_enter(&supply, PHASE_DRAIN);
    supply_abandon(&supply, &first, false);
    assert_int_equal(supply.unsent, 1);
    assert_int_equal(record.counts.issued, 0);
    supply_abandon(&supply, &again, false); /* the first attempt was sent, the second was not */
    assert_int_equal(supply.unanswered, 1);
    assert_int_equal(record.counts.retries, 0);
    supply_abandon(&supply, &again, true);
    assert_int_equal(supply.unanswered, 2);
    assert_int_equal(record.corrected->count, 3);
}

static void a_closed_loop_leaves_nothing_unsent(void **state)
{
    (void)state;
    supply_enter(&supply, PHASE_WARM);
    supply_fill(&supply, &pipeline[0]);
    supply_abandon(&supply, pipeline_oldest(&pipeline[0]), true);
    assert_int_equal(supply.unanswered, 0); /* nothing is measured yet */
    supply_enter(&supply, PHASE_MEASURE);
    supply_abandon(&supply, pipeline_oldest(&pipeline[0]), true);
    assert_int_equal(record.counts.issued, DEPTH);
    supply_abandon(&supply, pipeline_oldest(&pipeline[0]), false);
    assert_int_equal(record.counts.issued, DEPTH - 1);
    assert_int_equal(supply.unanswered, 1);
    assert_int_equal(supply.unsent, 0);
    assert_int_equal(record.corrected->count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_pipeline_has_room_up_to_its_depth),
        TEST(a_pipeline_has_room_up_to_its_limit),
        TEST(a_stopped_pipeline_gets_no_requests),
        TEST(requests_are_issued_in_turn),
        TEST(no_more_than_the_share_is_issued),
        TEST(a_returned_request_is_replaced),
        TEST(nothing_is_issued_before_and_after_the_measurement),
        TEST(warmup_requests_are_not_counted),
        TEST(requests_are_issued_when_they_are_due),
        TEST(idle_pipelines_take_turns),
        TEST(a_retried_request_keeps_its_due_time),
        TEST(many_retries_keep_their_order),
        TEST(a_client_tries_again_after_a_pause),
        TEST(retries_and_new_requests_are_sent_in_the_order_of_their_times),
        TEST(retries_go_on_after_the_measurement),
        TEST(unsent_requests_have_waited_until_the_end),
        TEST(many_unsent_requests_are_spread_evenly),
        TEST(no_more_than_the_count_is_unsent),
        TEST(no_more_than_a_large_count_is_unsent),
        TEST(what_waits_for_its_next_attempt_is_unanswered),
        TEST(what_was_never_sent_is_not_unanswered),
        TEST(a_closed_loop_leaves_nothing_unsent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
