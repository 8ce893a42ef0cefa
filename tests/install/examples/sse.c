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
#include <stdio.h>
#include <string.h>

enum { KEPT = 256 /* messages */, TEXT_MAX = 1000 /* bytes of one */ };

static struct {
    pthread_mutex_t lock; /* is never held across a call that WAITS */
    uint64_t published;   /* ids are 1 to this; message n is in text[n % KEPT] */
    char text[KEPT][TEXT_MAX + 1];
    int listeners;
    torc_event *news;
} feed = {.lock = PTHREAD_MUTEX_INITIALIZER};

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
    const char *line = torc_cstr(rq, body); /* NULL if there is a NUL in it */
    if (!line || !*line || strpbrk(line, "\r\n")) {
        torc_replyf(rq, 400, "one line, please\n");
        return;
    }
    pthread_mutex_lock(&feed.lock);
    uint64_t id = ++feed.published;
    strcpy(feed.text[id % KEPT], line);
    pthread_mutex_unlock(&feed.lock);
    torc_event_signal(feed.news);
    torc_replyf(rq, 200, "%" PRIu64 "\n", id);
}

/* Formats the first message after *id that is kept, and sets *id to its own. 0 if there is none. */
static int next_after(uint64_t *id, char *frame, size_t size)
{
    int len = 0;
    pthread_mutex_lock(&feed.lock);
    if (*id < feed.published) {
        uint64_t oldest = feed.published < KEPT ? 1 : feed.published - KEPT + 1;
        *id = *id < oldest ? oldest : *id + 1;
        len = snprintf(frame, size, "id: %" PRIu64 "\ndata: %s\n\n", *id, feed.text[*id % KEPT]);
    }
    pthread_mutex_unlock(&feed.lock);
    return len;
}

/* Counts a listener in or out, and returns the last id. */
static uint64_t count(int by)
{
    pthread_mutex_lock(&feed.lock);
    feed.listeners += by;
    uint64_t id = feed.published;
    pthread_mutex_unlock(&feed.lock);
    return id;
}

/* GET /events: until the client goes or the server drains. What was published before the drain
 * is sent, and the response ends properly. */
static void events(torc_req *rq, void *arg)
{
    char frame[TEXT_MAX + 64];
    uint64_t seen = torc_event_count(feed.news);  /* before the first look: nothing is missed */
    int len = 0, err = torc_cancel_when_gone(rq); /* a stream is for nobody else */
    (void)arg;
    torc_set_header(rq, TORC_S("Cache-Control"), TORC_S("no-store"));
    if (err < 0 || torc_start(rq, 200, "text/event-stream", -1) < 0) return;
    if (torc_method(rq).ptr[0] == 'H') return; /* HEAD: nothing follows, and it must not wait */
    uint64_t id = count(+1);
    torc_slice_u64(torc_header(rq, "Last-Event-ID"), &id); /* if there is one */
    do {
        while (err == 0 && (len = next_after(&id, frame, sizeof frame)) > 0)
            err = torc_write(rq, frame, (size_t)len); /* waits for a client that reads slowly */
    } while (err == 0 && !torc_draining(rq) && torc_event_wait(rq, feed.news, &seen) == 0);
    count(-1);
}

/* GET /listeners */
static void listeners(torc_req *rq, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&feed.lock);
    int n = feed.listeners;
    pthread_mutex_unlock(&feed.lock);
    torc_replyf(rq, 200, "%d\n", n);
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("sse 1.0");
    feed.news = torc_event_new();
    if (!s || !feed.news || torc_route(s, "GET", "/events", events, NULL) < 0 ||
        torc_route(s, "POST", "/publish", publish, NULL) < 0 ||
        torc_route(s, "GET", "/listeners", listeners, NULL) < 0) {
        fprintf(stderr, "sse: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    if (status == 4) return status; /* a handler may still run, and use what follows frees */
    torc_event_free(feed.news);
    torc_server_free(s);
    return status;
}
