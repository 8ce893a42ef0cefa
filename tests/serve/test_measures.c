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

/* ---- the same for the program ---- */

static json_t *ask_program(const struct server *s)
{
    struct reply r = {0};
    client_fetch(&s->addr, "/measures", &r);
    assert_int_equal(r.status, 200);
    json_t *found = json_read(r.body);
    reply_free(&r);
    return found;
}

/* The sum of a reading by the program between two by the admin side lies between theirs, but for
 * what is known better of the clock's rate meanwhile. */
static void assert_between(json_t *found, const char *name, double before, double after)
{
    double v = json_number(found, name), slack = 1e-6 + 1e-3 * after;
    if (v < before - slack || v > after + slack)
        print_error("%s: %.9f is not between %.9f and %.9f\n", name, v, before, after);
    assert_true(v >= before - slack && v <= after + slack);
}

static void test_the_program_reads_the_same(void **state)
{
    struct server s;
    struct client waits;
    (void)state;
    server_start(&s, "--cores", server_two_cores());
    drive(&s, 1);
    client_open(&waits, &s);
    client_ask(&waits, "GET", "/spin", ""); /* one is in progress */
    struct sums before = read_sums(&s);
    json_t *found = ask_program(&s);
    struct sums after = read_sums(&s);
    assert_between(found, "wall", before.wall, after.wall);
    assert_between(found, "lifetime", before.lifetime, after.lifetime);
    assert_between(found, "on_core", before.on_core, after.on_core);
    assert_between(found, "held", before.held, after.held);
    assert_true(before.lifetime > 0.2 && before.on_core > 0.1);
    assert_string_equal(json_text(found, "engine"), server_engine);
    assert_true(is_held() || json_number(found, "cores") == 2);
    json_decref(found);
    client_close(&waits);
    server_stop(&s); /* asserts that the program ends well: see is_shut */
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_client),
        cmocka_unit_test(test_several_clients),
        cmocka_unit_test(test_the_program_reads_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
