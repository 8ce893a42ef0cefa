/* Server-sent events: what is posted to one core reaches the clients of all.
 *
 *   cc sse.c $(pkg-config --cflags --libs torc) -o sse && ./sse
 *   curl -N localhost:8080/events               # once or a thousand times
 *   curl -d 'good news' localhost:8080/publish
 *
 * A client that reconnects with Last-Event-ID gets what it has missed, as far as it is kept. */

#include <torc.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEPT = 256,      /* messages; a client that is further behind misses some */
    TEXT_MAX = 1000, /* bytes of a message */
    PING_MS = 10000, /* so that clients that have gone are noticed while there are no news */
};

static struct {
    pthread_mutex_t lock; /* is never held across a call that WAITS */
    uint64_t published;   /* ids are 1 to this; message n is in text[n % KEPT] */
    char text[KEPT][TEXT_MAX + 1];
    torc_event *news;
    atomic_int listeners;
} feed = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The first message after `id` that is kept. Returns its id, or 0 if there is none. */
static uint64_t next_after(uint64_t id, char text[TEXT_MAX + 1])
{
    pthread_mutex_lock(&feed.lock);
    uint64_t oldest = feed.published < KEPT ? 1 : feed.published - KEPT + 1;
    uint64_t next = id < oldest ? oldest : id + 1;
    if (next > feed.published)
        next = 0;
    else
        memcpy(text, feed.text[next % KEPT], TEXT_MAX + 1);
    pthread_mutex_unlock(&feed.lock);
    return next;
}

static uint64_t last_id(void)
{
    pthread_mutex_lock(&feed.lock);
    uint64_t id = feed.published;
    pthread_mutex_unlock(&feed.lock);
    return id;
}

/* POST /publish: one line of text. */
static void publish(torc_req *rq, void *arg)
{
    torc_slice body;
    (void)arg;
    if (torc_body_all(rq, &body) < 0) return; /* torc sends the response that fits the error */
    if (body.len > TEXT_MAX) {
        torc_reply_error(rq, 413);
        return;
    }
    if (body.len == 0 || memchr(body.ptr, '\n', body.len) || memchr(body.ptr, '\r', body.len) ||
        memchr(body.ptr, 0, body.len)) {
        torc_replyf(rq, 400, "one line, please\n");
        return;
    }
    pthread_mutex_lock(&feed.lock);
    uint64_t id = ++feed.published;
    memcpy(feed.text[id % KEPT], body.ptr, body.len);
    feed.text[id % KEPT][body.len] = 0;
    pthread_mutex_unlock(&feed.lock);
    torc_event_signal(feed.news);
    torc_replyf(rq, 200, "%" PRIu64 "\n", id);
}

/* Sends all messages after *id; a comment if there are none. 0 or the error of torc_write. */
static int send_news(torc_req *rq, uint64_t *id)
{
    char text[TEXT_MAX + 1], frame[TEXT_MAX + 64];
    uint64_t next;
    int err = 0;
    bool any = false;
    while (err == 0 && (next = next_after(*id, text)) != 0) {
        int size = snprintf(frame, sizeof frame, "id: %" PRIu64 "\ndata: %s\n\n", next, text);
        err = torc_write(rq, frame, (size_t)size); /* waits for a client that reads slowly */
        *id = next;
        any = true;
    }
    return any ? err : torc_write(rq, ":\n\n", 3);
}

static uint64_t where_to_begin(torc_req *rq)
{
    char digits[21] = "";
    torc_slice last = torc_header(rq, "Last-Event-ID");
    if (!last.ptr || last.len >= sizeof digits) return last_id();
    memcpy(digits, last.ptr, last.len);
    return strtoull(digits, NULL, 10);
}

/* GET /events: until the client goes or the server drains. What was published before the drain
 * is sent, and the response ends properly. */
static void events(torc_req *rq, void *arg)
{
    (void)arg;
    uint64_t seen = torc_event_count(feed.news); /* before the first look: nothing is missed */
    uint64_t id = where_to_begin(rq);
    torc_set_header(rq, TORC_S("Cache-Control"), TORC_S("no-store"));
    if (torc_start(rq, 200, "text/event-stream", -1) < 0) return;
    atomic_fetch_add(&feed.listeners, 1);
    while (send_news(rq, &id) == 0 && !torc_draining(rq) && !torc_client_gone(rq)) {
        if (torc_event_wait(rq, feed.news, &seen) < 0) break;
    }
    atomic_fetch_sub(&feed.listeners, 1);
}

/* GET /listeners */
static void listeners(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "%d\n", atomic_load(&feed.listeners));
}

/* Wakes all, who find nothing new and send a comment. Every core runs this; one is enough. */
static void ping(torc_req *rq, void *arg)
{
    (void)arg;
    if (torc_core(rq) == 0) torc_event_signal(feed.news);
}

int main(int argc, char **argv)
{
    int status = 1;
    torc_server *s = torc_server_new("sse 1.0");
    feed.news = torc_event_new();
    if (!s || !feed.news)
        fprintf(stderr, "sse: out of memory\n");
    else if (torc_route(s, "GET", "/events", events, NULL) < 0 ||
             torc_route(s, "POST", "/publish", publish, NULL) < 0 ||
             torc_route(s, "GET", "/listeners", listeners, NULL) < 0 ||
             torc_every(s, PING_MS, ping, NULL) < 0)
        fprintf(stderr, "sse: %s\n", torc_server_error(s));
    else
        status = torc_server_main(s, argc, argv);
    if (status == 4) return status; /* a handler may still run, and use what follows frees */
    torc_event_free(feed.news);
    torc_server_free(s);
    return status;
}
