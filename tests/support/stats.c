#include "stats.h"

#include <string.h>

json_t *stats_get(const struct server *s)
{
    struct reply r = {0};
    client_fetch(&s->admin, "/stats.json", &r);
    assert_int_equal(r.status, 200);
    json_t *stats = json_read(r.body);
    reply_free(&r);
    return stats;
}

double stats_number(const struct server *s, const char *path)
{
    json_t *stats = stats_get(s);
    double v = json_number(stats, path);
    json_decref(stats);
    return v;
}

static void await(const struct server *s, const char *path, double from, double to)
{
    double v = 0;
    for (int i = 0; i < SERVER_SECONDS * 200; i++) {
        v = stats_number(s, path);
        if (v >= from && v <= to) return;
        sleep_ms(5);
    }
    print_error("%s is %g, wanted %g\n", path, v, from);
    fail();
}

void stats_await(const struct server *s, const char *path, double want)
{
    await(s, path, want, want);
}

void stats_await_more(const struct server *s, const char *path, double want)
{
    await(s, path, want, 1e300);
}

void stats_requests(const struct server *s, struct reply *r)
{
    static const char all[] = "{\"cores_that_do_not_answer\":[],";
    for (double until = now_seconds() + SERVER_SECONDS; now_seconds() < until; sleep_ms(5)) {
        client_fetch(&s->admin, "/requests.json", r);
        assert_int_equal(r->status, 200);
        if (strncmp(r->body, all, sizeof all - 1) == 0) return;
    }
    print_error("a core does not answer: %s\n", r->body);
    fail();
}

double stats_settled(const struct server *s, const char *path)
{
    double last = stats_number(s, path);
    for (int same = 0, i = 0; same < 20 && i < SERVER_SECONDS * 100; i++) {
        sleep_ms(10);
        double v = stats_number(s, path);
        same = v == last ? same + 1 : 0;
        last = v;
    }
    return last;
}
