#include "stats.h"

#include "client.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

char *stats_get(const struct server *s)
{
    struct reply r = {0};
    client_fetch(&s->admin, "/stats.json", &r);
    assert_int_equal(r.status, 200);
    if (!json_valid(r.body)) print_error("not valid: %s\n", r.body);
    assert_true(json_valid(r.body));
    char *text = strdup(r.body);
    assert_non_null(text);
    reply_free(&r);
    return text;
}

double stats_number(const struct server *s, const char *path)
{
    char *text = stats_get(s);
    double v = json_number(text, path);
    free(text);
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
