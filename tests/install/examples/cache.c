/* Rows of PostgreSQL, with Redis as a cache in front.
 *
 *   cc cache.c $(pkg-config --cflags --libs torc-pg torc-redis) -o cache
 *   PG=postgresql://... REDIS=127.0.0.1:6379 ./cache
 *   curl -i localhost:8080/fortune/7            # X-Cache: miss, then hit
 *   curl -d 'a new text' localhost:8080/fortune/7
 *
 * The cache may be down: then every request asks PostgreSQL. */

#include <torc.h>
#include <torc/pg.h>
#include <torc/redis.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PATIENCE_MS
#define PATIENCE_MS 5000 /* for an answer, and for each attempt to connect */
#endif

enum { KEPT_SECONDS = 600, DIGITS_MAX = 9 };

struct app {
    torc_pg *pg;
    torc_redis *redis;
};

/* Copies the number in the path. False if it is none: then there is a response. */
static bool take_id(torc_req *rq, char id[DIGITS_MAX + 1])
{
    torc_slice text = torc_param(rq, "id");
    bool good = text.ptr && text.len > 0 && text.len <= DIGITS_MAX;
    for (size_t i = 0; good && i < text.len; i++) good = text.ptr[i] >= '0' && text.ptr[i] <= '9';
    if (!good) {
        torc_reply_error(rq, 404);
        return false;
    }
    memcpy(id, text.ptr, text.len);
    id[text.len] = 0;
    return true;
}

static void failed(torc_req *rq, int err, const torc_pg_result *r)
{
    if (r) fprintf(stderr, "cache: %s\n", torc_pg_message(r));
    torc_reply_error(rq, err == -ETIME ? 504 : err == -EAGAIN ? 503 : 502);
}

/* GET /fortune/ID */
static void get_fortune(torc_req *rq, void *arg)
{
    struct app *app = arg;
    char id[DIGITS_MAX + 1];
    const char *values[] = {id};
    torc_redis_reply *cached;
    torc_pg_result *row;
    if (!take_id(rq, id)) return;
    torc_deadline(rq, PATIENCE_MS);

    int err = torc_redis_repeatable(rq, app->redis, &cached, "GET fortune:%s", id);
    if (err == 0 && torc_redis_type(cached) == TORC_REDIS_STRING) {
        torc_set_header(rq, TORC_S("X-Cache"), TORC_S("hit"));
        torc_reply(rq, 200, "text/plain", torc_redis_text(cached));
        return;
    }
    /* An error is treated as a miss. If it is the scope's, the next call returns it, too. */
    err = torc_pg_query(rq, app->pg, "SELECT message FROM fortune WHERE id = $1", 1, values, &row);
    if (err < 0) {
        failed(rq, err, row);
        return;
    }
    if (torc_pg_rows(row) == 0) {
        torc_reply_error(rq, 404);
        return;
    }
    torc_slice text = torc_pg_value(row, 0, 0);
    torc_set_header(rq, TORC_S("X-Cache"), TORC_S("miss"));
    torc_reply(rq, 200, "text/plain", text);
    /* The client has its answer; a text that was changed since we read it stays for as long. */
    torc_redis_repeatable(rq, app->redis, NULL, "SET fortune:%s %b EX %d", id, text.ptr, text.len,
                          KEPT_SECONDS);
}

/* POST /fortune/ID: replaces the text. */
static void post_fortune(torc_req *rq, void *arg)
{
    struct app *app = arg;
    char id[DIGITS_MAX + 1];
    torc_slice body;
    torc_pg_result *done;
    if (!take_id(rq, id) || torc_body_all(rq, &body) < 0) return;
    char *text = torc_alloc(rq, body.len + 1); /* PostgreSQL wants a NUL at the end */
    if (!text) return;
    if (body.len > 0) memcpy(text, body.ptr, body.len);
    text[body.len] = 0;
    const char *values[] = {id, text};
    torc_deadline(rq, PATIENCE_MS);
    int err = torc_pg_query(rq, app->pg, "UPDATE fortune SET message = $2 WHERE id = $1", 2, values,
                            &done);
    if (err < 0) {
        failed(rq, err, done);
        return;
    }
    torc_redis_repeatable(rq, app->redis, NULL, "DEL fortune:%s", id);
    torc_reply_error(rq, torc_pg_affected(done) == 1 ? 200 : 404);
}

int main(int argc, char **argv)
{
    /* In the environment, where other users do not see a password. As options they would be known
     * after torc_server_parse. */
    struct app app = {
        .pg = torc_pg_new(
            &(torc_pg_options){.conninfo = getenv("PG"), .connect_timeout = PATIENCE_MS}),
        .redis = torc_redis_new(
            &(torc_redis_options){.address = getenv("REDIS"), .connect_timeout = PATIENCE_MS}),
    };
    torc_server *s = torc_server_new("cache 1.0");
    int status = 1;
    if (!app.pg || !app.redis)
        fprintf(stderr, "cache: PG or REDIS is not understood\n");
    else if (!s || torc_route(s, "GET", "/fortune/:id", get_fortune, &app) < 0 ||
             torc_route(s, "POST", "/fortune/:id", post_fortune, &app) < 0)
        fprintf(stderr, "cache: %s\n", s ? torc_server_error(s) : "out of memory");
    else
        status = torc_server_main(s, argc, argv);
    if (status == 4) return status; /* a handler may still run, and use what follows frees */
    torc_pg_free(app.pg);
    torc_redis_free(app.redis);
    torc_server_free(s);
    return status;
}
