/* A route that asks another service and a database, each as a part of the request's trace. */

#include "backend.h"
#include "backend_routes.h"
#include "lab.h"

#ifdef TORC_LAB_PG
#include "each.h"
#include "fetch_routes.h"
#include "params.h"
#include "pg_routes.h"

#include <stdio.h>

struct query {
    torc_pg *pg;
    int id;
    const char *seconds; /* that the database takes, or NULL: as long as it needs */
    torc_pg_result *result;
};

/* The query is named after its trace, for PostgreSQL's log (%a) and pg_stat_activity. A parameter
 * does so: with a comment each request would prepare a statement of its own. */
static int ask_database(torc_req *rq, void *arg)
{
    struct query *q = arg;
    char id[16], trace[TORC_TRACE_PARENT];
    const char *values[] = {id, q->seconds ? q->seconds : "0", trace};
    snprintf(id, sizeof id, "%d", q->id);
    torc_trace_parent(rq, trace);
    return torc_pg_query(rq, q->pg,
                         "SELECT id, randomnumber FROM set_config('application_name', $3, false) "
                         "AS trace, pg_sleep($2::float8 + 0 * length(trace)), world WHERE id = $1",
                         3, values, &q->result);
}

/* One of the two, and what came of it. */
struct call {
    torc_task *ask;
    void *arg;
    int err;
};

static int make_call(torc_req *rq, void *arg)
{
    struct call *c = arg;
    c->err = c->ask(rq, c->arg);
    return c->err;
}

static void reply(torc_req *rq, const struct fetch *service, const struct query *database)
{
    struct text t = {.rq = rq};
    char bytes[40];
    int n = snprintf(bytes, sizeof bytes, "{\"bytes\":%lld,\"row\":", (long long)service->bytes);
    text_put(&t, (torc_slice){bytes, (size_t)n});
    if (!pg_put_row(&t, database->id, database->result)) return;
    text_put(&t, TORC_S("}"));
    text_reply(&t, "application/json");
}

static void stack(torc_req *rq, void *arg)
{
    char text[16];
    bool concurrent;
    struct fetch service = {0};
    struct query database = {.pg = pg_pool(rq), .id = pg_random_id()};
    struct call calls[] = {{fetch_one, &service, 0}, {ask_database, &database, 0}};
    (void)arg;
    if (!database.pg || !fetch_url(rq, &service.url) || !param_mode(rq, &concurrent) ||
        !pg_take_seconds(rq, text, sizeof text, &database.seconds) || !backend_begin(rq, 0))
        return;
    int err = each(rq, concurrent, make_call, calls, sizeof *calls, 2);
    if (err == 0)
        reply(rq, &service, &database);
    else if (calls[0].err == err)
        fetch_failed(rq, err, &service, 1);
    else
        pg_failed(rq, err, database.result);
}
#else
static void stack(torc_req *rq, void *arg)
{
    (void)arg;
    backend_not_built_in(rq, "libpq");
}
#endif

int stack_routes_mount(torc_server *s)
{
    return torc_route(s, "GET", "/stack", stack, NULL);
}
