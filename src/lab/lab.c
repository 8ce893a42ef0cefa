#include "lab.h"

#include "burn.h"

static int mount_family(torc_server *s, const struct lab_route *family)
{
    int err = 0;
    for (const struct lab_route *r = family; r->method && err == 0; r++)
        err = torc_route(s, r->method, r->pattern, r->handler, NULL);
    return err;
}

int lab_mount(torc_server *s)
{
    int err = mount_family(s, benchmark_routes);
    if (err == 0) err = mount_family(s, body_routes);
    if (err == 0) err = mount_family(s, wait_routes);
    if (err == 0) err = mount_family(s, file_routes);
    if (err == 0) err = torc_static(s, "/static/");
    if (err < 0) return err;
    return torc_server_option(s, "burn-ns", "N",
                              "CPU time that each /plaintext burns on top, to see whether a bench "
                              "finds it",
                              &burn_option);
}
