/* Routes that public benchmarks of HTTP servers use. */

#include "burn.h"
#include "lab.h"
#include "params.h"

#include <inttypes.h>

#define SUM_MAX INT64_C(1000000000000)

static void plaintext(torc_req *rq, void *arg)
{
    (void)arg;
    if (burn_option) burn();
    torc_reply(rq, 200, "text/plain", TORC_S("Hello, World!"));
}

static void json(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "application/json", TORC_S("{\"message\":\"Hello, World!\"}"));
}

static void pipeline(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", TORC_S("ok"));
}

static void baseline11(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t sum = 0, v;
    torc_slice name, value, body;
    static const char *const required[] = {"a", "b"};
    for (size_t i = 0; i < 2; i++) {
        if (torc_query_param(rq, required[i]).ptr) continue;
        torc_replyf(rq, 400, "%s is missing\n", required[i]);
        return;
    }
    for (size_t at = 0; torc_query_next(rq, &at, &name, &value);) {
        if (!param_number(rq, name, value, -SUM_MAX, SUM_MAX, &v)) return;
        sum += v;
    }
    if (torc_method(rq).ptr[0] == 'P') {
        if (torc_body_all(rq, &body) < 0) return;
        if (!param_number(rq, TORC_S("the body"), body, -SUM_MAX, SUM_MAX, &v)) return;
        sum += v;
    }
    torc_replyf(rq, 200, "%" PRId64, sum);
}

const struct lab_route benchmark_routes[] = {
    {"GET", "/plaintext", plaintext},    {"GET", "/json", json},
    {"GET", "/pipeline", pipeline},      {"GET", "/baseline11", baseline11},
    {"POST", "/baseline11", baseline11}, {0},
};
