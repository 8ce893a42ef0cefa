#include "serve/connections.h"

#include "base/log.h"
#include "http/visitor.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

enum { ADMIN_CONNECTIONS = 64 };

/* Where the engine has a table of its sockets and the server can get other options, the table has
 * room for as many as this, 8 bytes each in the kernel, so that --max-connections can be raised. */
enum { ROOM_MIN = 65536 };

/* The connections of all cores share one descriptor table, unless the engine or the option gives
 * each core one of its own. */
static void divide(const struct torc_server *s, struct options *o, uint64_t descriptors)
{
    bool own_table =
        o->private_descriptors || io_max_sockets(&s->options->io, descriptors) == descriptors;
    if (!o->derived_max_conns || own_table) return;
    uint64_t share = options_descriptors_for_sockets(descriptors) / s->n_cores;
    if (share == 0) share = 1;
    if (share < o->limits.max_conns) o->limits.max_conns = (uint32_t)share;
}

static void report(const struct options *o, uint32_t asked, uint64_t descriptors)
{
    char what[64] = "each core takes ";
    if (!o->derived_max_conns)
        snprintf(what, sizeof what, "--max-connections reduced from %u to ", asked);
    log_line("%s%u%s: the descriptor limit of %" PRIu64 " allows no more (raise it with ulimit -n)",
             what, o->limits.max_conns, o->derived_max_conns ? " connections at most" : "",
             descriptors);
}

/* Of so few descriptors not even half are connections: nobody wants that. */
static bool has_few(const struct torc_server *s, const struct options *o, uint64_t descriptors)
{
    return o->derived_max_conns && !io_holds_thread(s->engine) && descriptors <= DESCRIPTORS_FEW;
}

/* Reduces the limits to the number of connections that the engine can hold. Returns that number. */
static uint64_t limit_connections(const struct torc_server *s, struct options *o,
                                  struct http_limits *admin)
{
    struct rlimit limit;
    *admin = o->limits;
    admin->max_conns = ADMIN_CONNECTIONS;
    http_limits_exempt(admin);
    if (io_holds_thread(s->engine)) options_fit_threads(o);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return UINT64_MAX;
    divide(s, o, limit.rlim_cur);
    uint64_t most = io_max_sockets(&s->options->io, limit.rlim_cur);
    most = most > ACCEPTOR_SPARE ? most - ACCEPTOR_SPARE : 1;
    if (most < admin->max_conns) admin->max_conns = (uint32_t)most;
    uint32_t asked = o->limits.max_conns;
    if (most < asked) o->limits.max_conns = (uint32_t)most;
    if (most < asked || has_few(s, o, limit.rlim_cur)) report(o, asked, limit.rlim_cur);
    return most;
}

static bool has_table(const struct torc_server *s)
{
    return io_max_sockets(&s->options->io, 1) == 1;
}

void connections_begin(struct torc_server *s)
{
    struct options *o = s->options;
    uint64_t most = limit_connections(s, o, &s->admin_limits);
    s->room = o->limits.max_conns;
    if (!o->config || !has_table(s)) return;
    if (most > ROOM_MIN) most = ROOM_MIN;
    if (most > s->room) s->room = (uint32_t)most;
}

bool connections_again(const struct torc_server *s, struct options *o, struct http_limits *admin)
{
    limit_connections(s, o, admin);
    if (!has_table(s) || o->limits.max_conns <= s->room) return true;
    if (o->derived_max_conns) o->limits.max_conns = s->room;
    return o->derived_max_conns;
}
