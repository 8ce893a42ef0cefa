/* Routes that compute: on the core, where they hold up its other requests, or on a thread of the
 * pool (torc_work), where they do not. */

#include "work_routes.h"
#include "params.h"
#include "thumbnail.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#ifdef TORC_LAB_CRYPTO
#include <openssl/evp.h>
#endif

enum { CRYPTO_MAX = 10000 /* ms */, WIDTH_MAX = 4096 /* pixels */ };

#if !defined(TORC_LAB_CRYPTO) || !defined(TORC_LAB_JPEG)
static void reply_not_built_in(torc_req *rq, const char *what)
{
    torc_replyf(rq, 501, "this torc-lab was built without %s\n", what);
}
#endif

/* Parses the query parameter `where`. If it is neither, replies with 400 and returns false. */
static bool param_where(torc_req *rq, bool *on_pool)
{
    torc_slice w = torc_query_param(rq, "where");
    *on_pool = w.len == 4 && memcmp(w.ptr, "work", 4) == 0;
    if (*on_pool || (w.len == 6 && memcmp(w.ptr, "inline", 6) == 0)) return true;
    torc_replyf(rq, 400, "where must be inline or work\n");
    return false;
}

/* Runs fn here or on the pool. False if it could not run: then there is a response, or nobody to
 * respond to. */
static bool run(torc_req *rq, bool on_pool, torc_work_fn *fn, void *arg, int *result)
{
    *result = on_pool ? torc_work(rq, fn, arg, NULL) : fn(NULL, arg);
    if (*result != -EAGAIN && *result != -ENOSYS) return true;
    if (*result == -EAGAIN) {
        torc_set_header(rq, TORC_S("Retry-After"), TORC_S("1"));
        torc_replyf(rq, 503, "the queue of the pool is full\n");
    } else {
        torc_replyf(rq, 501, "the server has no pool (--work-threads 0)\n");
    }
    return false;
}

/* ---- /crypto ---- */

#ifdef TORC_LAB_CRYPTO
struct derivation {
    int64_t ms;
    unsigned char key[16];
    int64_t rounds;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* PBKDF2 (RFC 8018, 5.2) in steps of some 0.1 ms, until the thread has used its time. */
static int derive(torc_job *job, void *arg)
{
    enum { STEP = 200 /* iterations */ };
    struct derivation *d = arg;
    double until = now_ms() + (double)d->ms;
    do {
        if (!PKCS5_PBKDF2_HMAC("torc", 4, d->key, sizeof d->key, STEP, EVP_sha256(), sizeof d->key,
                               d->key))
            return -EIO;
        d->rounds += STEP;
    } while (now_ms() < until && !(job && torc_work_cancelled(job)));
    return 0;
}

static void crypto(torc_req *rq, void *arg)
{
    struct derivation d = {.rounds = 0};
    bool on_pool;
    int err;
    (void)arg;
    if (!param_number(rq, TORC_S("ms"), torc_query_param(rq, "ms"), 0, CRYPTO_MAX, &d.ms) ||
        !param_where(rq, &on_pool) || !run(rq, on_pool, derive, &d, &err) || err < 0)
        return;
    torc_replyf(rq, 200, "%" PRId64 " rounds\n", d.rounds);
}
#else
static void crypto(torc_req *rq, void *arg)
{
    (void)arg;
    reply_not_built_in(rq, "OpenSSL");
}
#endif

/* ---- /thumbnail ---- */

#ifdef TORC_LAB_JPEG
static int make(torc_job *job, void *arg)
{
    (void)job;
    return thumbnail_make(arg);
}

static void thumbnail(torc_req *rq, void *arg)
{
    struct thumbnail t = {.width = 0};
    torc_slice body;
    int64_t width;
    bool on_pool;
    int err;
    (void)arg;
    if (!param_number(rq, TORC_S("w"), torc_query_param(rq, "w"), 1, WIDTH_MAX, &width) ||
        !param_where(rq, &on_pool) || torc_body_all(rq, &body) < 0)
        return;
    t.width = (int)width;
    t.in = body.ptr;
    t.in_size = body.len;
    if (!run(rq, on_pool, make, &t, &err)) return;
    if (err == 0)
        torc_reply(rq, 200, "image/jpeg", (torc_slice){(const char *)t.out, t.out_size});
    else if (err == -EBADMSG)
        torc_replyf(rq, 400, "the body must be a JPEG image of at most %d megapixels\n",
                    THUMBNAIL_MEGAPIXELS);
    else if (err == -ENOMEM)
        torc_reply_error(rq, 503);
    thumbnail_free(&t);
}
#else
static void thumbnail(torc_req *rq, void *arg)
{
    (void)arg;
    reply_not_built_in(rq, "libjpeg-turbo");
}
#endif

const struct lab_route work_routes[] = {
    {"GET", "/crypto", crypto},
    {"POST", "/thumbnail", thumbnail},
    {0},
};
