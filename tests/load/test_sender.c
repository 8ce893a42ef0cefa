#include "load/sender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { DEPTH = 1024 };

static struct request request[2]; /* without and with a placeholder */
static uint64_t sequence[1];
static struct filler filler;
static struct io io;
static struct pipeline pipeline;
static struct sender sender;

static int set_up(void **state)
{
    (void)state;
    sender = (struct sender){0};
    sequence[0] = 0;
    filler = (struct filler){.random = 1, .sequence = sequence, .cores = 1};
    if (!pipeline_init(&pipeline, DEPTH, 0, NULL)) return -1;
    pipeline_open(&pipeline);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pipeline_free(&pipeline);
    sender_free(&sender);
    return 0;
}

static void add(uint32_t which, int n)
{
    while (n--) pipeline_add(&pipeline, &(struct pending){.request = which}, &io);
}

static void fill(void)
{
    assert_true(sender_fill(&sender, &pipeline, request, &filler));
}

static void piece_is(uint32_t i, const char *want)
{
    assert_true(i < sender.send.count);
    slice piece = slice_of(sender.send.iov[i].iov_base, sender.send.iov[i].iov_len);
    assert_true(slice_eq(piece, slice_str(want)));
}

static void equal_requests_become_one_piece(void **state)
{
    (void)state;
    add(0, 3);
    fill();
    assert_int_equal(sender.send.count, 1);
    piece_is(0, "GET /a\r\n\r\nGET /a\r\n\r\nGET /a\r\n\r\n");
    assert_int_equal(pipeline.sent, 3);
    assert_int_equal(pipeline.head, 0);
}

static void a_piece_has_no_more_requests_than_there_are_copies(void **state)
{
    (void)state;
    add(0, (int)request[0].copies + 1);
    fill();
    assert_int_equal(sender.send.count, 2);
    assert_int_equal(sender.send.iov[0].iov_len, request[0].copies * request[0].bytes.len);
    piece_is(1, "GET /a\r\n\r\n");
}

static void placeholders_are_filled_for_each_request(void **state)
{
    (void)state;
    add(1, 2);
    add(0, 1);
    add(1, 1);
    fill();
    assert_int_equal(sender.send.count, 4);
    piece_is(0, "GET /7\r\n\r\n");
    piece_is(1, "GET /8\r\n\r\n");
    piece_is(2, "GET /a\r\n\r\n");
    piece_is(3, "GET /9\r\n\r\n");
}

static void requests_beyond_one_send_stay(void **state)
{
    (void)state;
    add(1, IO_SEND_IOV + 1);
    fill();
    assert_int_equal(sender.send.count, IO_SEND_IOV);
    assert_int_equal(pipeline.sent, IO_SEND_IOV);
    fill();
    assert_int_equal(sender.send.count, 1);
    assert_int_equal(pipeline.sent, pipeline.tail);
}

/* Latency counts from when a request of a closed loop is sent, and of an open loop is due. */
static void the_time_of_sending_is_noted(void **state)
{
    (void)state;
    add(0, 1);
    pipeline_add(&pipeline, &(struct pending){.intended = 5}, &io);
    fill();
    assert_true(pipeline_at(&pipeline, 0)->sent > 0);
    assert_int_equal(pipeline_at(&pipeline, 0)->intended, pipeline_at(&pipeline, 0)->sent);
    assert_int_equal(pipeline_at(&pipeline, 1)->intended, 5);
    assert_true(pipeline_at(&pipeline, 1)->sent > 5);
}

/* Of the leak sanitizer: what a request allocates is never freed. */
void __lsan_disable(void) __attribute__((weak));

static int make_requests(void **state)
{
    char why[120];
    uint32_t sequences = 0;
    (void)state;
    return request_raw(&request[0], SLICE("GET /a\r\n\r\n"), &sequences, why, sizeof why) &&
                   request_raw(&request[1], SLICE("GET /{seq:7}\r\n\r\n"), &sequences, why,
                               sizeof why)
               ? 0
               : -1;
}

int main(void)
{
    if (__lsan_disable) __lsan_disable();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(equal_requests_become_one_piece),
        TEST(a_piece_has_no_more_requests_than_there_are_copies),
        TEST(placeholders_are_filled_for_each_request),
        TEST(requests_beyond_one_send_stay),
        TEST(the_time_of_sending_is_noted),
    };
    return cmocka_run_group_tests(tests, make_requests, NULL);
}
