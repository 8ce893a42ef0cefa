#include "pg_rig.h"

#include <ctype.h>
#include <stdio.h>

struct server rig;

static const char *const settings[] = {"PG_CONNECTIONS", "PG_PIPELINE",        "PG_QUEUE",
                                       "PG_STATEMENTS",  "PG_CONNECT_TIMEOUT", "PG_CLOCK"};

void pg_set(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

void pg_reset(void)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) pg_set(settings[i], NULL);
    pg_set("PG_URL", backends_pg());
}

const char *pg_path(const char *before, const char *sql, const char *after)
{
    static char paths[4][2048];
    static int next;
    char *out = paths[next++ % 4], *p = out;
    p += snprintf(p, 256, "%s", before);
    for (; *sql && p < out + 1800; sql++)
        p += sprintf(p, isalnum((unsigned char)*sql) ? "%c" : "%%%02X", (unsigned char)*sql);
    snprintf(p, 200, "%s", after);
    return out;
}

static struct reply pg_last;

const char *pg_get(const char *path, int status)
{
    client_fetch(&rig.addr, path, &pg_last);
    reply_expect(&pg_last, path, status);
    return pg_last.body;
}

const char *pg_query(const char *sql)
{
    return pg_get(pg_path("/query?sql=", sql, ""), 200);
}

void pg_expect_world(long long id, long long number)
{
    char sql[96], value[32];
    snprintf(sql, sizeof sql, "SELECT randomnumber FROM world WHERE id = %lld", id);
    snprintf(value, sizeof value, "%lld", number);
    assert_string_equal(pg_query(sql), value);
}

void pg_await(const char *path, int status, const char *body)
{
    for (int i = 0; i < SERVER_SECONDS * 100; i++) {
        client_fetch(&rig.addr, path, &pg_last);
        if (pg_last.status == status && strcmp(pg_last.body, body) == 0) return;
        sleep_ms(10);
    }
    print_error("%s: %d %s, wanted %d %s\n", path, pg_last.status, pg_last.body, status, body);
    fail();
}

long pg_counter(const char *name)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(pg_get("/counters", 200), quoted);
    assert_non_null(at);
    return strtol(at + strlen(quoted), NULL, 10);
}

void pg_await_counter(const char *name, long value)
{
    for (int i = 0; i < SERVER_SECONDS * 100; i++) {
        if (pg_counter(name) == value) return;
        sleep_ms(10);
    }
    print_error("%s: %s, wanted %ld\n", name, pg_last.body, value);
    fail();
}

void pg_await_running(const char *text, int n)
{
    char sql[256], count[16];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%%s%%' "
             "AND pid <> pg_backend_pid()",
             text);
    snprintf(count, sizeof count, "%d", n);
    pg_await(pg_path("/query?sql=", sql, ""), 200, count);
}

void pg_ask(struct client *c, const char *path)
{
    client_open(c, &rig);
    client_ask(c, "GET", path, "");
}

const char *pg_answer(struct client *c, int status)
{
    client_reply(c, "GET", &pg_last);
    reply_expect(&pg_last, "what was asked", status);
    client_close(c);
    return pg_last.body;
}

int pg_setup(void **state)
{
    (void)state;
    backends_open();
    pg_reset();
    return 0;
}

int pg_teardown(void **state)
{
    (void)state;
    reply_free(&pg_last);
    backends_close();
    return 0;
}
