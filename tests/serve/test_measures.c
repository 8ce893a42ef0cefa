/* The three measures against what a handler knows of itself (measures_server.c): it computes for
 * 10 ms and waits for 10 ms. On a machine that others use both take longer, for the handler as for
 * the server. */

#include "client.h"
#include "stats.h"

#include <string.h>

enum { ROUNDS = 20, CLIENTS_MAX = 4, TRIES = 4 };

struct sums {
    double wall, lifetime, on_core, held; /* the server's */
    double requests, computed, lived;     /* the handler's */
};

static struct sums read_sums(const struct server *s)
{
    struct reply r = {0};
    client_fetch(&s->addr, "/sums", &r);
    json_t *own = json_read(r.body), *stats = stats_get(s);
    struct sums sums = {
        .wall = json_number(stats, "measures.wall_seconds"),
        .lifetime = json_number(stats, "measures.request_lifetime_seconds"),
        .on_core = json_number(stats, "measures.request_oncore_seconds"),
        .held = json_number(stats, "measures.request_held_seconds"),
        .requests = json_number(own, "requests"),
        .computed = json_number(own, "computed"),
        .lived = json_number(own, "lived"),
    };
    json_decref(own);
    json_decref(stats);
    reply_free(&r);
    return sums;
}

/* Since `from`; without the request for the sums itself, which is no more than its code. */
static struct sums since(const struct sums *from, const struct sums *to)
{
    return (struct sums){to->wall - from->wall,         to->lifetime - from->lifetime,
                         to->on_core - from->on_core,   to->held - from->held,
                         to->requests - from->requests, to->computed - from->computed,
                         to->lived - from->lived};
}

static struct sums drive(const struct server *s, int clients)
{
    struct client c[CLIENTS_MAX];
    struct reply r = {0};
    for (int i = 0; i < clients; i++) client_open(&c[i], s);
    struct sums before = read_sums(s);
    for (int round = 0; round < ROUNDS / clients; round++) {
        for (int i = 0; i < clients; i++) client_ask(&c[i], "GET", "/spin", "");
        for (int i = 0; i < clients; i++) client_reply(&c[i], "GET", &r);
    }
    struct sums after = read_sums(s);
    for (int i = 0; i < clients; i++) client_close(&c[i]);
    reply_free(&r);
    return since(&before, &after);
}

static bool within(double v, double least, double part)
{
    return v >= least * (1 - 1e-4) && v <= least * (1 + part);
}

/* Of several clients, those that wait for the core have arrived already. */
static bool agrees(const struct sums *d, int clients)
{
    return within(d->on_core, d->computed, 0.05) && d->lifetime >= d->lived &&
           (clients > 1 || within(d->lifetime, d->lived, 0.05));
}

/* Whether a request holds its thread while it waits, too. */
static bool is_held(void)
{
    return strcmp(server_engine, "threads") == 0;
}

/* The server sees what the handler sees, and a little more. A core that loses its CPU just between
 * the two spoils one try. */
static void check(const struct server *s, int clients, double *parallelism, double *asynchrony)
{
    struct sums d = {.computed = 1};
    for (int i = 0; i < TRIES && !agrees(&d, clients); i++) d = drive(s, clients);
    assert_true(d.requests == ROUNDS / clients * clients);
    if (!agrees(&d, clients))
        print_error("on core %g, computed %g, lifetime %g, lived %g\n", d.on_core, d.computed,
                    d.lifetime, d.lived);
    assert_true(agrees(&d, clients));
    assert_true(d.computed >= d.requests * 0.01 && d.lived >= d.requests * 0.02);
    assert_true(d.held == (is_held() ? d.lifetime : d.on_core));
    *parallelism = d.on_core / d.wall;
    *asynchrony = 1 - d.held / d.lifetime;
}

static void test_one_client(void **state)
{
    struct server s;
    double p, a;
    (void)state;
    server_start(&s, "--cores", "1");
    check(&s, 1, &p, &a);
    /* A of a request alone is the part of its time that it waits. */
    assert_true((is_held() ? a == 0 : a > 0 && a < 1) && p > 0 && p <= 1.001);
    server_stop(&s);
}

static void test_several_clients(void **state)
{
    struct server s;
    double p, a;
    (void)state;
    if (is_held()) return; /* threads that share a CPU interrupt each other */
    server_start(&s, "--cores", "1");
    check(&s, 4, &p, &a);
    assert_true(p <= 1.001); /* one core */
    assert_true(a > 0 && a < 1);
    server_stop(&s);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_client),
        cmocka_unit_test(test_several_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
