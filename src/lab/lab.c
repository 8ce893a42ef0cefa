#include "lab.h"

#include "burn.h"

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
