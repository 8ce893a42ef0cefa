#include "task/resolve.h"

#include "base/random.h"
#include "core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lookups that a test answers ---- */

static _Atomic unsigned lookups;
static _Atomic bool held; /* lookups do not end */

static void add(struct resolved *out, const char *text)
{
    struct sock_addr *a = &out->addr[out->count++];
    *a = (struct sock_addr){.len = sizeof a->in};
    a->in.sin_family = AF_INET;
    assert_int_equal(inet_pton(AF_INET, text, &a->in.sin_addr), 1);
}

/* "none..." does not exist, "later..." has no answer now; any other name has two addresses. */
static int answer(struct torc_job *j, const char *name, struct resolved *out)
{
    lookups++;
    while (held && !j->cancelled) sched_yield();
    if (j->cancelled) return -EAGAIN;
    if (strncmp(name, "none", 4) == 0) return -ENOENT;
    if (strncmp(name, "later", 5) == 0) return -EAGAIN;
    out->count = 0;
    out->ttl = strncmp(name, "brief", 5) == 0 ? 0 : 60;
    add(out, "192.0.2.1");
    add(out, "192.0.2.2");
    return 0;
}

struct rig {
    struct core core;
    struct offload *pool;
    struct resolver resolver;
};

static int set_up_with(void **state, uint32_t threads, resolve_fn *lookup)
{
    struct rig *r = malloc(sizeof *r);
    if (!r) return -1;
    core_open(&r->core, 100);
    lookups = 0;
    held = false;
    r->pool = offload_new(threads, 300);
    resolver_init(&r->resolver, &r->core.io, r->pool, lookup);
    *state = r;
    return r->pool ? 0 : -1;
}

static int set_up(void **state)
{
    return set_up_with(state, 2, answer);
}

static int set_up_without_threads(void **state)
{
    return set_up_with(state, 0, answer);
}

static int set_up_system(void **state)
{
    return set_up_with(state, 2, resolve_system);
}

/* As a core ends: the inbox first. */
static void end(struct rig *r)
{
    while (!io_close_inbox(&r->core.io)) core_poll(&r->core);
    resolver_end(&r->resolver);
    assert_true(offload_stop(r->pool, clock_ns() + 30 * NS_PER_S));
    offload_free(r->pool);
    r->pool = NULL;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    if (r->pool) end(r);
    core_close(&r->core);
    free(r);
    return 0;
}

/* ---- fibers that ask ---- */

struct asker {
    struct rig *rig;
    const char *name;
    struct scope *scope;
    unsigned max;
    struct sock_addr addr[RESOLVE_ADDRS];
    int result;
    bool done;
};

static void ask(void *arg)
{
    struct asker *a = arg;
    a->result = resolve(a->scope ? a->scope : &a->rig->core.scope, &a->rig->resolver, a->name, 8080,
                        a->addr, a->max);
    a->done = true;
}

static void start(struct rig *r, struct asker *a, const char *name)
{
    a->rig = r;
    a->name = name;
    a->max = RESOLVE_ADDRS;
    a->done = false;
    assert_int_equal(core_start(&r->core, ask, a), 0);
}

static int result_of(struct rig *r, const char *name)
{
    struct asker a = {0};
    start(r, &a, name);
    TURN_UNTIL(&r->core, a.done);
    return a.result;
}

static void assert_addr(const struct sock_addr *a, const char *want)
{
    char text[SOCK_ADDR_TEXT];
    sock_addr_format(a, text);
    assert_string_equal(text, want);
}

/* ---- addresses ---- */

static void an_address_is_no_name(void **state)
{
    struct rig *r = *state;
    struct asker a = {0};
    start(r, &a, "192.0.2.7");
    assert_true(a.done);
    assert_int_equal(a.result, 1);
    assert_addr(&a.addr[0], "192.0.2.7:8080");
    start(r, &a, "2001:db8::1");
    assert_true(a.done);
    assert_int_equal(a.result, 1);
    assert_addr(&a.addr[0], "[2001:db8::1]:8080");
    assert_int_equal(lookups, 0);
}

/* The C library would take some of them for addresses. */
static void what_cannot_be_a_name_is_refused(void **state)
{
    static const char *const names[] = {
        "",      "127.1",  "1.2.3.4.5", "0x7f.1",  "0x7f000001", "2130706433", "a b",
        "[::1]", "::1%lo", "a/b",       "a.0x1F.", "192.0.2.1.", "caf\303\251"};
    struct rig *r = *state;
    char too_long[RESOLVE_NAME + 2];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) assert_int_equal(result_of(r, names[i]), -EINVAL);
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(result_of(r, too_long), -EINVAL);
    too_long[RESOLVE_NAME] = '\0';
    assert_int_equal(result_of(r, too_long), 2);
    assert_int_equal(lookups, 1);
}

/* ---- names ---- */

static void a_name_is_looked_up_once(void **state)
{
    struct rig *r = *state;
    struct asker a = {0};
    start(r, &a, "db.example");
    TURN_UNTIL(&r->core, a.done);
    assert_int_equal(a.result, 2);
    assert_addr(&a.addr[0], "192.0.2.1:8080");
    assert_addr(&a.addr[1], "192.0.2.2:8080");
    start(r, &a, "DB.Example"); /* names have no case (RFC 4343) */
    assert_true(a.done);
    assert_int_equal(a.result, 2);
    a.max = 1;
    a.done = false;
    assert_int_equal(core_start(&r->core, ask, &a), 0);
    assert_true(a.done);
    assert_int_equal(a.result, 1);
    assert_int_equal(lookups, 1);
    assert_int_equal(r->resolver.stats.cached, 2);
}

static void fibers_share_a_lookup(void **state)
{
    struct rig *r = *state;
    struct asker a[10] = {0};
    held = true;
    for (int i = 0; i < 10; i++) start(r, &a[i], "one");
    for (int i = 0; i < 20; i++) core_poll(&r->core);
    for (int i = 0; i < 10; i++) assert_false(a[i].done);
    held = false;
    for (int i = 0; i < 10; i++) {
        TURN_UNTIL(&r->core, a[i].done);
        assert_int_equal(a[i].result, 2);
        assert_addr(&a[i].addr[0], "192.0.2.1:8080");
    }
    assert_int_equal(lookups, 1);
}

static void sleep_a_while(void *arg)
{
    struct asker *a = arg;
    a->result = scope_sleep(&a->rig->core.scope, 1100 * NS_PER_MS);
    a->done = true;
}

/* At least a second, whatever the answer says; a failure exactly that long. */
static void an_answer_is_used_for_its_time(void **state)
{
    struct rig *r = *state;
    assert_int_equal(result_of(r, "none"), -ENOENT);
    assert_int_equal(result_of(r, "later"), -EAGAIN);
    assert_int_equal(result_of(r, "brief"), 2);
    assert_int_equal(result_of(r, "long"), 2);
    assert_int_equal(lookups, 4);
    struct asker a = {.rig = r};
    assert_int_equal(core_start(&r->core, sleep_a_while, &a), 0);
    TURN_UNTIL(&r->core, a.done);
    assert_int_equal(result_of(r, "none"), -ENOENT);
    assert_int_equal(result_of(r, "later"), -EAGAIN);
    assert_int_equal(result_of(r, "brief"), 2);
    assert_int_equal(result_of(r, "long"), 2);
    assert_int_equal(lookups, 7);
    assert_int_equal(r->resolver.stats.failures, 4);
}

static void the_cache_is_bounded(void **state)
{
    struct rig *r = *state;
    char name[32];
    for (int i = 0; i < RESOLVE_ENTRIES + 50; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(result_of(r, name), 2);
        assert_int_equal(result_of(r, "often"), 2);
        assert_true(r->resolver.n_entries <= RESOLVE_ENTRIES);
    }
    assert_int_equal(lookups, RESOLVE_ENTRIES + 50 + 1);
}

static void without_threads_only_addresses_work(void **state)
{
    struct rig *r = *state;
    assert_int_equal(result_of(r, "192.0.2.1"), 1);
    assert_int_equal(result_of(r, "name"), -ENOSYS);
    assert_int_equal(r->resolver.n_entries, 0);
}

/* ---- cancellation ---- */

static void a_scope_ends_the_wait_not_the_lookup(void **state)
{
    struct rig *r = *state;
    struct asker a = {0}, patient = {0};
    struct scope s;
    scope_init(&s, &r->core.io, &r->core.fibers, NULL);
    held = true;
    a.scope = &s;
    start(r, &a, "slow");
    start(r, &patient, "slow");
    scope_set_deadline(&s, clock_ns() + 10 * NS_PER_MS);
    TURN_UNTIL(&r->core, a.done);
    assert_int_equal(a.result, -ETIME);
    assert_false(patient.done);
    held = false;
    TURN_UNTIL(&r->core, patient.done);
    assert_int_equal(patient.result, 2);
    start(r, &a, "slow");
    assert_int_equal(a.result, -ETIME); /* even where the answer is known */
    assert_int_equal(lookups, 1);
    scope_detach(&s);
}

static void a_core_ends_while_lookups_run(void **state)
{
    struct rig *r = *state;
    struct asker a[4] = {0};
    static const char *const names[] = {"a", "b", "c", "d"}; /* more than there are threads */
    held = true;
    for (int i = 0; i < 4; i++) start(r, &a[i], names[i]);
    while (lookups < 2) sched_yield();
    scope_cancel(&r->core.scope, -ECONNRESET);
    core_poll(&r->core);
    for (int i = 0; i < 4; i++) assert_true(a[i].done);
    end(r);
    assert_int_equal(lookups, 2);
}

enum { ASKERS = 8, NAMES = 5 };

/* Names of one round, so that they are looked up again. */
static void make_names(char names[NAMES][32], int round)
{
    static const char *const begin[NAMES] = {"a", "none", "later", "b", "192.0.2."};
    for (int i = 0; i < NAMES; i++) snprintf(names[i], 32, "%s%d", begin[i], round % 256);
}

/* Fibers that ask for few names, each cancelled at some turn or never: each returns once, with the
 * answer or the error. */
static void cancelled_at_any_point(void **state)
{
    struct rig *r = *state;
    char names[NAMES][32];
    for (int round = 0; round < 400; round++) {
        struct asker a[ASKERS] = {0};
        struct scope s[ASKERS];
        make_names(names, round);
        for (int i = 0; i < ASKERS; i++) {
            scope_init(&s[i], &r->core.io, &r->core.fibers, NULL);
            a[i].scope = &s[i];
            start(r, &a[i], names[random_below(NAMES)]);
            if (random_below(3) == 0) core_poll(&r->core);
            if (random_below(2) == 0) scope_cancel(&s[random_below((unsigned)i + 1)], -ECANCELED);
        }
        for (int i = 0; i < ASKERS; i++) {
            TURN_UNTIL(&r->core, a[i].done);
            assert_true(a[i].result > 0 || a[i].result == -ENOENT || a[i].result == -EAGAIN ||
                        (a[i].result == -ECANCELED && s[i].cancelled));
            assert_true(list_empty(&s[i].waits));
        }
    }
}

/* ---- the system's names ---- */

static void localhost_is_here(void **state)
{
    struct rig *r = *state;
    struct asker a = {0};
    start(r, &a, "localhost");
    TURN_UNTIL(&r->core, a.done);
    assert_true(a.result > 0);
    for (int i = 0; i < a.result; i++) {
        char text[SOCK_ADDR_TEXT];
        sock_addr_format(&a.addr[i], text);
        assert_true(strcmp(text, "127.0.0.1:8080") == 0 || strcmp(text, "[::1]:8080") == 0);
    }
}

/* RFC 6761, 6.4. Where there is no network, nobody can say so. */
static void an_invalid_name_has_no_address(void **state)
{
    int result = result_of(*state, "torc.invalid");
    assert_true(result == -ENOENT || result == -EAGAIN);
}

#define RESOLVE_CASE(name, how) cmocka_unit_test_setup_teardown(name, how, tear_down)

int main(int argc, char **argv)
{
    core_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        RESOLVE_CASE(an_address_is_no_name, set_up),
        RESOLVE_CASE(what_cannot_be_a_name_is_refused, set_up),
        RESOLVE_CASE(a_name_is_looked_up_once, set_up),
        RESOLVE_CASE(fibers_share_a_lookup, set_up),
        RESOLVE_CASE(an_answer_is_used_for_its_time, set_up),
        RESOLVE_CASE(the_cache_is_bounded, set_up),
        RESOLVE_CASE(without_threads_only_addresses_work, set_up_without_threads),
        RESOLVE_CASE(a_scope_ends_the_wait_not_the_lookup, set_up),
        RESOLVE_CASE(a_core_ends_while_lookups_run, set_up),
        RESOLVE_CASE(cancelled_at_any_point, set_up),
        RESOLVE_CASE(localhost_is_here, set_up_system),
        RESOLVE_CASE(an_invalid_name_has_no_address, set_up_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
