#include "client/response_parser.h"

#include "base/list.h"

#include <llhttp.h>

_Static_assert(sizeof(llhttp_t) <= sizeof((struct response_parser *)0)->llhttp,
               "room for an llhttp_t");

static struct response_parser *response_parser_of(llhttp_t *l)
{
    return container_of((unsigned char(*)[128])l, struct response_parser, llhttp);
}

static llhttp_t *llhttp_of(struct response_parser *r)
{
    return (llhttp_t *)r->llhttp;
}

static int on_headers_complete(llhttp_t *l)
{
    struct response_parser *r = response_parser_of(l);
    r->status = (uint16_t)l->status_code;
    l->upgrade = 0; /* nothing was asked to be upgraded */
    if (l->http_major != 1) {
        llhttp_set_error_reason(l, "not HTTP/1.x");
        return -1;
    }
    if (r->status == 101) {
        llhttp_set_error_reason(l, "it switches protocols unasked");
        return -1;
    }
    if (r->status < 100) {
        llhttp_set_error_reason(l, "a status below 100");
        return -1;
    }
    if (r->status < 200) return 0;
    r->state = RESPONSE_BODY;
    bool no_body = r->to_head || r->status == 204 || r->status == 304;
    r->until_close = !no_body && llhttp_message_needs_eof(l);
    return no_body;
}

static int on_body(llhttp_t *l, const char *at, size_t n)
{
    struct response_parser *r = response_parser_of(l);
    r->body_bytes += n;
    if (r->on_body) r->on_body(r, slice_of(at, n));
    return 0;
}

static int on_message_complete(llhttp_t *l)
{
    struct response_parser *r = response_parser_of(l);
    if (r->status < 200) return 0;
    r->keep_alive = llhttp_should_keep_alive(l) && !r->until_close;
    r->state = RESPONSE_DONE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* A fresh llhttp_t, copied for each response: llhttp_init takes longer to come to the same. */
static llhttp_t fresh;

__attribute__((constructor)) static void make_fresh(void)
{
    llhttp_init(&fresh, HTTP_RESPONSE, &settings);
}

void response_parser_begin(struct response_parser *r, bool to_head)
{
    *llhttp_of(r) = fresh;
    r->body_bytes = 0;
    r->status = 0;
    r->state = RESPONSE_HEAD;
    r->keep_alive = r->until_close = false;
    r->to_head = to_head;
    r->problem = NULL;
}

static void fail(struct response_parser *r)
{
    r->state = RESPONSE_ERROR;
    r->problem = llhttp_get_error_reason(llhttp_of(r));
    if (!r->problem || !*r->problem) r->problem = "malformed";
}

size_t response_parser_parse(struct response_parser *r, slice in)
{
    llhttp_t *l = llhttp_of(r);
    DEBUG_ASSERT(r->state == RESPONSE_HEAD || r->state == RESPONSE_BODY);
    llhttp_errno_t err = llhttp_execute(l, in.ptr, in.len);
    if (err == HPE_OK) return in.len;
    size_t used = (size_t)(llhttp_get_error_pos(l) - in.ptr);
    if (err != HPE_PAUSED || r->state != RESPONSE_DONE) fail(r);
    return used;
}

void response_parser_end(struct response_parser *r)
{
    llhttp_t *l = llhttp_of(r);
    if (r->state == RESPONSE_DONE || r->state == RESPONSE_ERROR) return;
    llhttp_errno_t err = llhttp_finish(l);
    if (r->state == RESPONSE_DONE) return;
    if (err == HPE_OK || err == HPE_PAUSED) {
        r->state = RESPONSE_ERROR;
        r->problem = "the stream ended within it";
    } else {
        fail(r);
    }
}
