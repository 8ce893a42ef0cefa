#include "serve/inflight.h"

#include "base/json.h"
#include "serve/server_state.h"
#include "task/event.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    LISTED_MAX = 1000,    /* per core: it serves nobody while it writes them */
    ANSWER_WITHIN = 1000, /* ms; a core that a handler holds does not answer */
    BLOCK = 16 * 1024,
};

/* What one core says. Written by it before `answered`, read by the admin core after that. */
struct answer {
    struct io_post post;
    struct inquiry *inquiry;
    struct core *core;
    struct writer out; /* to `text`, which grows */
    char *text;
    size_t cap;
    uint64_t now; /* not when the turn began: a handler may have held the core since */
    uint32_t in_progress, listed;
    bool failed; /* no memory for all of it */
    _Atomic bool answered;
    bool counts; /* of the admin core: it answered in time */
};

/* A request for /requests.json. It may end before the last core has answered. */
struct inquiry {
    struct event *answers;
    _Atomic uint32_t refs; /* the request, and each core that has not answered */
    uint32_t n;
    struct answer of[];
};

static void unref(struct inquiry *q)
{
    if (atomic_fetch_sub(&q->refs, 1) > 1) return;
    for (uint32_t i = 0; i < q->n; i++) free(q->of[i].text);
    event_free(q->answers);
    free(q);
}

/* ---- on the core that is asked ---- */

/* Without memory the text begins again, and is of no use. */
static void grow(struct writer *out)
{
    struct answer *a = container_of(out, struct answer, out);
    size_t used = (size_t)(out->at - a->text);
    char *text = realloc(a->text, a->cap + BLOCK);
    if (text) {
        a->text = text;
        a->cap += BLOCK;
        *out = (struct writer){text + used, text + a->cap, grow};
    } else {
        out->at = a->text;
        a->failed = true;
    }
}

static void put_waits(struct json *j, const struct scope *s)
{
    for (const struct list *l = s->waits.next; l != &s->waits; l = l->next)
        json_put_string(j, NULL,
                        container_of((struct list *)(uintptr_t)l, struct wait, link)->what);
    for (const struct list *l = s->children.next; l != &s->children; l = l->next)
        put_waits(j, container_of((struct list *)(uintptr_t)l, struct scope, sibling));
}

static void put(struct answer *a, const struct torc_req *rq, slice route, const char *peer)
{
    if (a->in_progress++ >= LISTED_MAX || !a->text) return;
    struct json j = {&a->out, a->listed++ > 0};
    json_begin(&j, NULL, '{');
    json_put_text(&j, "method", rq->route ? rq->head.method_name : (slice){0});
    json_put_text(&j, "route", route);
    json_put_u64(&j, "core", a->core->index);
    json_put_double(&j, "age_seconds", (double)(a->now - rq->arrived) / NS_PER_S, 6);
    json_put_string(&j, "client", peer);
    json_begin(&j, "waits_for", '[');
    put_waits(&j, &rq->scope);
    json_end(&j, ']');
    json_end(&j, '}');
}

static void put_request(void *arg, const struct torc_req *rq, const char *peer)
{
    put(arg, rq, request_pattern(rq), peer);
}

/* What runs on the core before it serves, or after its last request. */
static void put_hook(struct answer *a, const struct hooks *h)
{
    if (h->errand.running) put(a, &h->errand.rq, SLICE("torc_server_each_core"), NULL);
}

static void answer(struct io_post *p)
{
    struct answer *a = container_of(p, struct answer, post);
    struct inquiry *q = a->inquiry;
    a->text = malloc(BLOCK);
    a->cap = BLOCK;
    a->now = clock_ns();
    a->out = (struct writer){a->text, a->text ? a->text + BLOCK : NULL, grow};
    http_each_request(&a->core->http, put_request, a);
    put_hook(a, &a->core->hooks);
    if (a->failed || !a->text) {
        a->out.at = a->text;
        a->listed = 0;
    }
    atomic_store(&a->answered, true);
    event_signal(q->answers);
    unref(q);
}

/* ---- on the admin core ---- */

static struct inquiry *ask(struct torc_server *s)
{
    uint32_t n = s->n_cores;
    struct inquiry *q = calloc(1, sizeof *q + n * sizeof *q->of);
    if (!q || !(q->answers = event_new())) {
        free(q);
        return NULL;
    }
    q->n = n;
    atomic_init(&q->refs, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct answer *a = &q->of[i];
        a->post.fn = answer;
        a->inquiry = q;
        a->core = &s->cores[i];
        if (io_post(&a->core->loop.io, &a->post) == 0) continue;
        atomic_store(&a->answered, true); /* it has ended: no request is left there */
        atomic_fetch_sub(&q->refs, 1);
    }
    return q;
}

static bool all_answered(const struct inquiry *q)
{
    for (uint32_t i = 0; i < q->n; i++)
        if (!atomic_load(&q->of[i].answered)) return false;
    return true;
}

static void await_answers(torc_req *rq, struct inquiry *q)
{
    struct event_waiter w;
    uint64_t seen = 0;
    torc_deadline(rq, ANSWER_WITHIN);
    while (!all_answered(q) && event_wait(request_scope(rq), q->answers, &seen, &w) == 0) continue;
    for (uint32_t i = 0; i < q->n; i++) q->of[i].counts = atomic_load(&q->of[i].answered);
}

static size_t size_of(const struct inquiry *q)
{
    size_t size = 1024 + 16 * q->n;
    for (uint32_t i = 0; i < q->n; i++)
        if (q->of[i].counts) size += (size_t)(q->of[i].out.at - q->of[i].text);
    return size;
}

static void no_room(struct writer *out)
{
    (void)out;
    ASSERT(!"size_of counts all of it");
}

static slice put_all(struct writer *out, const struct inquiry *q)
{
    char *start = out->at;
    struct json j = {out, false};
    uint64_t in_progress = 0, listed = 0;
    json_begin(&j, NULL, '{');
    json_begin(&j, "cores_that_do_not_answer", '[');
    for (uint32_t i = 0; i < q->n; i++)
        if (!q->of[i].counts) json_put_u64(&j, NULL, i);
    json_end(&j, ']');
    json_begin(&j, "requests", '[');
    for (uint32_t i = 0; i < q->n; i++) {
        const struct answer *a = &q->of[i];
        if (!a->counts) continue;
        if (listed && a->listed) writer_char(out, ',');
        if (a->listed) writer_put(out, a->text, (size_t)(a->out.at - a->text));
        in_progress += a->in_progress;
        listed += a->listed;
    }
    j.comma = listed > 0;
    json_end(&j, ']');
    json_put_u64(&j, "in_progress", in_progress);
    json_put_u64(&j, "listed", listed);
    json_end(&j, '}');
    writer_char(out, '\n');
    return slice_of(start, (size_t)(out->at - start));
}

void inflight_reply(torc_req *rq, void *arg)
{
    struct torc_server *s = arg;
    struct inquiry *q = ask(s);
    if (!q) {
        torc_reply_error(rq, 503);
        return;
    }
    await_answers(rq, q);
    size_t size = size_of(q);
    char *text = malloc(size);
    struct writer out = {text, text ? text + size : NULL, no_room};
    if (text)
        torc_reply(rq, 200, "application/json", put_all(&out, q));
    else
        torc_reply_error(rq, 503);
    free(text);
    unref(q);
}
