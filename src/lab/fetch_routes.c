/* A route that asks an HTTP server. */

#include "fetch_routes.h"
#include "backend.h"
#include "backend_routes.h"
#include "each.h"
#include "lab.h"
#include "option.h"
#include "params.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    FETCHES_MAX = 100,
    READ_SIZE = 4096, /* on the stack, which may be as small as 16 KiB */
    WAITING = 65536, /* fetches of a core that wait for a connection: many requests with mode=all */
};

static const char *upstream; /* --upstream; NULL if not given */
static torc_client *client;

int fetch_one(torc_req *rq, void *arg)
{
    struct fetch *f = arg;
    torc_exchange *x;
    char buf[READ_SIZE];
    int err = torc_fetch_open(rq, client, &(torc_fetch_options){.url = f->url}, &x);
    if (err < 0) return err;
    ssize_t n = torc_fetch_response(rq, x);
    if (n >= 0) {
        f->status = (int)n;
        while ((n = torc_fetch_read(rq, x, buf, sizeof buf)) > 0) f->bytes += n;
    }
    torc_fetch_close(x);
    if (n < 0) return (int)n;
    return f->status < 300 ? 0 : -EREMOTEIO;
}

/* What the errors of torc_fetch mean, where that is not what strerror(3) says. */
static const char *in_words(int err)
{
    return err == -EPIPE     ? "it closed the connection before its answer was complete"
           : err == -EBADMSG ? "its answer is malformed"
           : err == -E2BIG   ? "the head of its answer is too large"
                             : "";
}

void fetch_failed(torc_req *rq, int err, const struct fetch *f, int64_t n)
{
    char text[64];
    snprintf(text, sizeof text, "%s", in_words(err));
    for (int64_t i = 0; i < n && err == -EREMOTEIO; i++)
        if (f[i].status >= 300) snprintf(text, sizeof text, "status %d", f[i].status);
    backend_failed(rq, "the upstream", err, (torc_slice){text, strlen(text)});
}

/* Parses `path`, which begins with a slash and is of characters that a URL may have. */
static bool param_path(torc_req *rq, torc_slice *path)
{
    *path = torc_query_param(rq, "path");
    bool ok = path->len > 0 && path->ptr[0] == '/';
    for (size_t i = 0; i < path->len && ok; i++)
        ok = path->ptr[i] > ' ' && path->ptr[i] <= '~' && path->ptr[i] != '#';
    if (!ok) torc_replyf(rq, 400, "path must be that of a URL, which begins with a slash\n");
    return ok;
}

static char *url_of(torc_req *rq, torc_slice path)
{
    size_t len = strlen(upstream);
    if (len > 0 && upstream[len - 1] == '/') len--;
    char *url = torc_alloc(rq, len + path.len + 1);
    if (url) sprintf(url, "%.*s%.*s", (int)len, upstream, (int)path.len, path.ptr);
    return url;
}

/* The path of a request is put behind it. */
static bool is_prefix(const char *url)
{
    static const char scheme[] = "http://";
    if (strncasecmp(url, scheme, strlen(scheme)) != 0) return false;
    const char *rest = url + strlen(scheme);
    size_t n = option_host(rest);
    rest += n;
    if (n == 0 || (*rest && *rest != '/')) return false;
    while (*rest > ' ' && *rest <= '~' && *rest != '?' && *rest != '#') rest++;
    return *rest == '\0';
}

int fetch_routes_open(void)
{
    if (!upstream) return 0;
    if (!is_prefix(upstream)) return option_wrong("upstream", "http://HOST[:PORT]", upstream);
    client = torc_client_new(&(torc_client_options){.waiting = WAITING});
    return client ? 0 : option_failed("upstream", errno);
}

bool fetch_url(torc_req *rq, const char **url)
{
    torc_slice path;
    if (!backend_given(rq, "upstream", upstream) || !param_path(rq, &path)) return false;
    *url = url_of(rq, path);
    if (*url) return true;
    torc_reply_error(rq, 503);
    return false;
}

static void fetch(torc_req *rq, void *arg)
{
    int64_t n, total = 0;
    bool concurrent;
    const char *url;
    (void)arg;
    if (!fetch_url(rq, &url) ||
        !param_number(rq, TORC_S("n"), torc_query_param(rq, "n"), 1, FETCHES_MAX, &n) ||
        !param_mode(rq, &concurrent) || !backend_begin(rq, 0))
        return;
    struct fetch *fetches = torc_alloc(rq, sizeof *fetches * (size_t)n);
    if (!fetches) {
        torc_reply_error(rq, 503);
        return;
    }
    for (int64_t i = 0; i < n; i++) fetches[i] = (struct fetch){.url = url};
    int err = each(rq, concurrent, fetch_one, fetches, sizeof *fetches, n);
    if (err < 0) {
        fetch_failed(rq, err, fetches, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) total += fetches[i].bytes;
    torc_replyf(rq, 200, "%" PRId64, total);
}

int fetch_routes_mount(torc_server *s)
{
    int err = torc_server_option(s, "upstream", "URL",
                                 "the HTTP server that /fetch and /stack ask: http://HOST[:PORT]",
                                 &upstream);
    return err < 0 ? err : torc_route(s, "GET", "/fetch", fetch, NULL);
}

bool fetch_routes_given(void)
{
    return upstream != NULL;
}

void fetch_routes_free(void)
{
    torc_client_free(client);
}
