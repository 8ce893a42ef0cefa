#include "load/receiver.h"

/* While the head is incomplete. No final response has it; a malformed one may have 0. */
enum { NO_STATUS = 100 };

static struct pending *oldest(struct receiver *r)
{
    return pipeline_oldest(r->pipeline);
}

static const struct request *request_of(struct receiver *r)
{
    return &r->context->plan->request[oldest(r)->request];
}

static struct error_sample *sample(struct receiver *r, enum load_error kind)
{
    return record_sample(&r->context->record, kind);
}

void receiver_init(struct receiver *r, struct load_context *context, struct pipeline *pipeline)
{
    r->context = context;
    r->pipeline = pipeline;
}

void receiver_open(struct receiver *r)
{
    r->started = r->close_announced = false;
}

/* ---- completing the oldest request ---- */

static void complete_good(struct receiver *r, uint16_t status, uint64_t now)
{
    struct record *record = &r->context->record;
    const struct pending *p = oldest(r);
    r->pipeline->head++;
    record_status(record, p, status);
    record_good(record, p, now);
}

static void complete_error(struct receiver *r, enum load_error kind)
{
    struct record *record = &r->context->record;
    const struct pending *p = oldest(r);
    r->pipeline->head++;
    record_status(record, p, r->parser.status);
    record_error(record, kind, p);
}

static bool has_right_status(const struct receiver *r)
{
    uint32_t expected = r->context->plan->expect_status;
    return expected ? r->parser.status == expected : r->parser.status / 100 == 2;
}

static bool has_right_body(const struct receiver *r)
{
    slice want = r->context->plan->expect_body;
    if (!want.ptr || r->parser.to_head) return true;
    return !r->wrong_body && r->parser.body_bytes == want.len;
}

/* The reply is complete; whether it is good. */
static bool check(struct receiver *r, uint64_t now)
{
    const struct plan *plan = r->context->plan;
    r->started = false;
    if (!r->parser.keep_alive) {
        r->close_announced = true;
        pipeline_stop(r->pipeline);
    }
    if (!has_right_status(r)) {
        error_sample_status(sample(r, ERROR_STATUS), request_of(r), r->parser.status,
                            plan->expect_status);
        complete_error(r, ERROR_STATUS);
        return false;
    }
    if (!has_right_body(r)) {
        error_sample_body(sample(r, ERROR_BODY), request_of(r),
                          r->wrong_body ? &r->difference : NULL, plan->expect_body,
                          r->parser.body_bytes);
        complete_error(r, ERROR_BODY);
        return false;
    }
    complete_good(r, r->parser.status, now);
    return true;
}

/* ---- bytes ---- */

static void on_body(struct response_parser *parser, slice piece)
{
    struct receiver *r = container_of(parser, struct receiver, parser);
    slice want = r->context->plan->expect_body;
    uint64_t from = parser->body_bytes - piece.len;
    if (!want.ptr || r->wrong_body) return;
    if (parser->body_bytes > want.len || memcmp(want.ptr + from, piece.ptr, piece.len) != 0) {
        r->wrong_body = true;
        body_difference_find(&r->difference, want, from, piece);
    }
}

static void begin(struct receiver *r)
{
    r->parser.on_body = on_body;
    response_parser_begin(&r->parser, request_of(r)->to_head);
    r->parser.status = NO_STATUS;
    r->started = true;
    r->wrong_body = false;
}

/* Parses the reply as far as `in` goes. How many bytes that were; the parser's state tells the
 * rest. */
static size_t parse(struct receiver *r, struct reference *reference, slice in, uint64_t now)
{
    bool from_start = !r->started;
    if (from_start) begin(r);
    size_t used = response_parser_parse(&r->parser, in);
    if (r->parser.state == RESPONSE_ERROR)
        error_sample_framing(sample(r, ERROR_FRAMING), request_of(r), r->parser.problem, in, used);
    else if (r->parser.state == RESPONSE_DONE && check(r, now) && from_start)
        reference_learn(reference, slice_of(in.ptr, used), &r->parser);
    return used;
}

static enum receiver_result unsolicited(struct receiver *r, slice in)
{
    struct load_context *x = r->context;
    error_sample_unsolicited(sample(r, ERROR_FRAMING), &x->plan->addr, in);
    record_error(&x->record, ERROR_FRAMING, NULL);
    return RECEIVER_UNSOLICITED;
}

/* Nothing counts after a response that announces the close: it is the last (RFC 9112, 9.6). */
enum receiver_result receiver_feed(struct receiver *r, slice in, uint64_t now)
{
    while (in.len && !r->close_announced) {
        if (r->pipeline->head == r->pipeline->sent) return unsolicited(r, in);
        struct reference *reference = &r->context->references[oldest(r)->request];
        size_t n = r->started ? 0 : reference_match(reference, in);
        if (LIKELY(n)) {
            complete_good(r, reference->status, now);
        } else {
            n = parse(r, reference, in, now);
            if (r->parser.state == RESPONSE_ERROR) return RECEIVER_MALFORMED;
        }
        in = slice_skip(in, n);
    }
    return RECEIVER_OK;
}

/* ---- the end of the stream ---- */

void receiver_sample_reset(struct receiver *r, int err)
{
    if (pipeline_empty(r->pipeline)) return;
    error_sample_reset(sample(r, ERROR_RESET), &r->context->plan->addr, request_of(r), err,
                       r->started);
}

void receiver_eof(struct receiver *r, uint64_t now, int err)
{
    if (!r->started) return;
    response_parser_end(&r->parser);
    if (r->parser.state == RESPONSE_DONE && !err) {
        check(r, now);
    } else {
        receiver_sample_reset(r, err);
        complete_error(r, ERROR_RESET);
    }
    r->started = false;
}
