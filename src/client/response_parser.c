#include "client/response_parser.h"

#include "base/list.h"

static struct response_parser *parser_of(struct message *m)
{
    return container_of(m, struct response_parser, message);
}

static int reject(struct response_parser *r, const char *problem)
{
    r->problem = problem;
    return MESSAGE_FAIL;
}

static int on_head_complete(struct message *m)
{
    struct response_parser *r = parser_of(m);
    r->status = (uint16_t)message_status(m);
    if (message_major(m) != 1) return reject(r, "not HTTP/1.x");
    if (r->status == 101) return reject(r, "unrequested protocol switch");
    if (r->status < 100) return reject(r, "status below 100");
    if (r->status < 200) {
        if (r->on_interim) r->on_interim(r);
        return MESSAGE_NO_BODY; /* whatever its fields say (RFC 9112, 6.3) */
    }
    if (r->accepts_head && !r->accepts_head(r)) return reject(r, "head refused");
    r->state = RESPONSE_BODY;
    bool no_body = r->to_head || r->status == 204 || r->status == 304;
    r->until_close = !no_body && message_needs_end(m);
    if (no_body) return MESSAGE_NO_BODY;
    return message_is_chunked(m) ? MESSAGE_PAUSE : MESSAGE_CONTINUE; /* the framing begins here */
}

/* Those of a trailer are left out. */
static int on_field_name(struct message *m, slice piece)
{
    struct response_parser *r = parser_of(m);
    if (r->state == RESPONSE_HEAD) r->on_field_name(r, piece);
    return MESSAGE_CONTINUE;
}

static int on_field_value(struct message *m, slice piece)
{
    struct response_parser *r = parser_of(m);
    if (r->state == RESPONSE_HEAD) r->on_field_value(r, piece);
    return MESSAGE_CONTINUE;
}

/* Counts what is not data up to `end`; false if that is too much for the data so far. It is asked
 * before each piece of data and at the end of the input, so that it does not matter how that is
 * cut. The head's own input is bounded by who reads it. */
static bool count_overhead(struct response_parser *r, const char *end)
{
    if (!r->counted) return true;
    r->overhead_bytes += (uint64_t)(end - r->counted);
    r->counted = end;
    r->is_excessive = r->overhead_bytes > OVERHEAD_BASE + OVERHEAD_PER_BYTE * r->body_bytes;
    if (r->is_excessive) r->problem = "too much of chunk extensions or trailers";
    return !r->is_excessive;
}

static int on_body(struct message *m, slice piece)
{
    struct response_parser *r = parser_of(m);
    if (!count_overhead(r, piece.ptr)) return MESSAGE_FAIL;
    if (r->counted) r->counted = piece.ptr + piece.len;
    r->body_bytes += piece.len;
    if (r->on_body) r->on_body(r, piece);
    return MESSAGE_CONTINUE;
}

static int on_complete(struct message *m)
{
    struct response_parser *r = parser_of(m);
    if (r->status < 200) return MESSAGE_PAUSE; /* another head follows */
    /* RFC 9112, 6.1: HTTP/1.0 has no Transfer-Encoding; where the response ends is in doubt. */
    bool doubtful = message_minor(m) == 0 && message_has_transfer_encoding(m);
    r->keep_alive = message_keeps_alive(m) && !r->until_close && !doubtful;
    r->state = RESPONSE_DONE;
    return MESSAGE_PAUSE;
}

static const struct message_events events = {
    .field_name = on_field_name,
    .field_value = on_field_value,
    .head_complete = on_head_complete,
    .body = on_body,
    .complete = on_complete,
};

static void begin_message(struct response_parser *r)
{
    message_begin_response(&r->message, &events);
    if (!r->on_field_name) return;
    message_watch_fields(&r->message);
    message_accept_folds(&r->message);
}

void response_parser_begin(struct response_parser *r, bool to_head)
{
    begin_message(r);
    r->body_bytes = r->overhead_bytes = 0;
    r->status = 0;
    r->state = RESPONSE_HEAD;
    r->keep_alive = r->until_close = r->is_excessive = false;
    r->to_head = to_head;
    r->problem = NULL;
}

static void fail(struct response_parser *r)
{
    r->state = RESPONSE_ERROR;
    if (!r->problem) r->problem = message_problem(&r->message);
    if (!r->problem) r->problem = "malformed";
}

/* Each interim response is a message of its own: what it says of the connection ends with it.
 * Behind the head of a chunked response, its framing is counted. */
static enum message_result read_messages(struct response_parser *r, slice in, size_t *used)
{
    size_t n;
    enum message_result result = message_read(&r->message, in, used);
    while (result == MESSAGE_PAUSED && r->state < RESPONSE_DONE) {
        if (r->state == RESPONSE_HEAD)
            begin_message(r);
        else
            r->counted = in.ptr + *used;
        result = MESSAGE_OK;
        if (*used == in.len) break;
        result = message_read(&r->message, slice_skip(in, *used), &n);
        *used += n;
    }
    return result;
}

size_t response_parser_parse(struct response_parser *r, slice in)
{
    DEBUG_ASSERT(r->state == RESPONSE_HEAD || r->state == RESPONSE_BODY);
    size_t used;
    r->counted = r->state == RESPONSE_BODY ? in.ptr : NULL;
    enum message_result result = read_messages(r, in, &used);
    if (!r->is_excessive && !count_overhead(r, in.ptr + used)) result = MESSAGE_FAILED;
    if (result == MESSAGE_OK) return used;
    if (result != MESSAGE_PAUSED || r->state != RESPONSE_DONE) fail(r);
    return used;
}

void response_parser_end(struct response_parser *r)
{
    if (r->state == RESPONSE_DONE || r->state == RESPONSE_ERROR) return;
    enum message_result result = message_end(&r->message);
    if (r->state == RESPONSE_DONE) return;
    if (result == MESSAGE_OK || result == MESSAGE_PAUSED) {
        r->state = RESPONSE_ERROR;
        r->problem = "connection closed within the response";
    } else {
        fail(r);
    }
}
