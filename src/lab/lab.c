#include "lab.h"

#include "burn.h"
#include "option.h"

#include <ctype.h>
#include <string.h>

int lab_mount_routes(torc_server *s, const struct lab_route *routes)
{
    int err = 0;
    for (const struct lab_route *r = routes; r->method && err == 0; r++)
        err = torc_route(s, r->method, r->pattern, r->handler, NULL);
    return err;
}

int lab_mount(torc_server *s)
{
    int err = lab_mount_routes(s, benchmark_routes);
    if (err == 0) err = lab_mount_routes(s, body_routes);
    if (err == 0) err = lab_mount_routes(s, wait_routes);
    if (err == 0) err = lab_mount_routes(s, file_routes);
    if (err == 0) err = event_routes_open();
    if (err == 0) err = lab_mount_routes(s, event_routes);
    if (err == 0) err = torc_static(s, "/static/");
    if (err == 0)
        err = torc_server_option(s, "allow-origin", "ORIGIN",
                                 "whose pages in a browser may read what /delay answers, such as "
                                 "http://127.0.0.1:8000 (default: nobody's)",
                                 &page_origin);
    if (err < 0) return err;
    return torc_server_option(s, "burn-ns", "N",
                              "extra CPU time for each /plaintext request, in ns, to test whether "
                              "a benchmark detects it",
                              &burn_option);
}

/* SCHEME://HOST[:PORT], or one of the two words that are as good (Fetch, 3.3.2 and 3.3.3). */
static bool is_origin(const char *text)
{
    const char *host = strstr(text, "://");
    if (strcmp(text, "*") == 0 || strcmp(text, "null") == 0) return true;
    if (!host || host == text) return false;
    for (const char *c = text; c < host; c++)
        if (!isalnum((unsigned char)*c) && !strchr("+-.", *c)) return false;
    host += strlen("://");
    size_t n = option_host(host);
    return n > 0 && host[n] == '\0';
}

int lab_options(void)
{
    if (page_origin && !is_origin(page_origin))
        return option_wrong("allow-origin", "SCHEME://HOST[:PORT]", page_origin);
    return burn_read();
}
