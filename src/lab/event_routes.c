/* Server-sent events (WHATWG HTML, 9.2): what is posted on one core is sent from all. */

#include "lab.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 1000,
    KEPT = 64, /* lines; a client that falls further behind is told how many it has lost */
    FRAME_MAX = LINE_MAX_BYTES + 64,
};

/* A mutex is held for a copy, and across no wait. */
static struct {
    pthread_mutex_t mutex;
    torc_event *event; /* signalled for each line */
    uint64_t count;    /* of lines so far */
    struct line {
        size_t len;
        char text[LINE_MAX_BYTES];
    } line[KEPT];
} feed = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void post_event(torc_req *rq, void *arg)
{
    torc_slice body;
    (void)arg;
    if (torc_body_all(rq, &body) < 0) return;
    if (body.len == 0 || body.len > LINE_MAX_BYTES || memchr(body.ptr, '\n', body.len) ||
        memchr(body.ptr, '\r', body.len)) {
        torc_replyf(rq, 400, "the body must be one line of 1 to %d bytes\n", LINE_MAX_BYTES);
        return;
    }
    pthread_mutex_lock(&feed.mutex);
    struct line *line = &feed.line[feed.count++ % KEPT];
    line->len = body.len;
    memcpy(line->text, body.ptr, body.len);
    pthread_mutex_unlock(&feed.mutex);
    torc_event_signal(feed.event);
    torc_replyf(rq, 202, "accepted\n");
}

/* Writes the event after `*at`; returns its size, 0 if there is none. */
static size_t next_frame(uint64_t *at, char frame[FRAME_MAX])
{
    char *p = frame;
    pthread_mutex_lock(&feed.mutex);
    if (*at < feed.count) {
        if (feed.count - *at > KEPT) {
            uint64_t lost = feed.count - *at - KEPT;
            p += sprintf(p, ": %llu lost\n", (unsigned long long)lost);
            *at += lost;
        }
        const struct line *line = &feed.line[*at % KEPT];
        ++*at;
        p += sprintf(p, "id: %llu\ndata: ", (unsigned long long)*at);
        memcpy(p, line->text, line->len);
        p += line->len;
        *p++ = '\n';
        *p++ = '\n';
    }
    pthread_mutex_unlock(&feed.mutex);
    return (size_t)(p - frame);
}

static int send_new(torc_req *rq, uint64_t *at)
{
    char frame[FRAME_MAX];
    int err = 0;
    for (size_t n; err == 0 && (n = next_frame(at, frame)) > 0;) err = torc_write(rq, frame, n);
    return err;
}

static uint64_t lines_so_far(void)
{
    pthread_mutex_lock(&feed.mutex);
    uint64_t n = feed.count;
    pthread_mutex_unlock(&feed.mutex);
    return n;
}

/* Streams what is posted from now on, until the client leaves or the server drains. */
static void events(torc_req *rq, void *arg)
{
    uint64_t seen = torc_event_count(feed.event), at = lines_so_far();
    (void)arg;
    torc_set_header(rq, TORC_S("Cache-Control"), TORC_S("no-store"));
    if (torc_start(rq, 200, "text/event-stream", -1) < 0) return;
    if (torc_method(rq).ptr[0] == 'H') return; /* it gets no events, and waits for the end */
    if (torc_write(rq, ": hello\n\n", 9) < 0) return;
    if (torc_cancel_when_gone(rq) < 0) return; /* a stream is for nobody else */
    while (send_new(rq, &at) == 0 && !torc_draining(rq))
        if (torc_event_wait(rq, feed.event, &seen) < 0) return;
}

const struct lab_route event_routes[] = {
    {"GET", "/events", events},
    {"POST", "/events", post_event},
    {0},
};

int event_routes_open(void)
{
    if (!feed.event) feed.event = torc_event_new(); /* one feed, however many servers there are */
    return feed.event ? 0 : -1;
}
