#pragma once
/* The state of a server, shared by the files that implement it: server.c (life cycle), cores.c,
 * admin.c (admin listener) and check.c (--check). */

#include "files/static.h"
#include "http/middleware.h"
#include "serve/access_log.h"
#include "serve/core.h"
#include "serve/measures.h"
#include "serve/options.h"
#include "serve/signals.h"
#include "serve/stall.h"
#include "task/offload.h"

#include <pthread.h>

enum server_phase {
    SERVER_SETUP,
    SERVER_STARTING,
    SERVER_READY,
    SERVER_DRAINING,
    SERVER_ENDED,
    SERVER_ABANDONED, /* torc_server_main has returned, and a handler still holds its core */
};

/* New settings, see reload.c. */
struct reload {
    struct option_set *base; /* what the program has set, before config file and command line */
    int argc;
    char **argv;
    struct option_set *next; /* the settings that the cores are taking; NULL: none */
    struct http_limits admin_limits;
    _Atomic uint32_t n_left;      /* cores that have not taken them */
    int log_fd;                   /* the new access log; -1: none */
    uint64_t n_loaded, n_refused; /* counted by the main thread */
};

struct torc_server {
    char *name;
    char *about;            /* for --help; NULL for none */
    bool serves_files_only; /* static files are mounted at "/" */
    char error[256];
    struct option_set *set;
    struct options *options; /* of `set`: those that the server has started with */
    struct option_set *now;  /* the settings in use: `set`, until others are loaded */
    struct reload reload;
    struct router *router;
    struct middleware *middleware;
    struct error_handler *error_handlers;
    struct end_fn *ends; /* called for requests that end */
    uint32_t n_ends;
    struct route_plan *route_plans; /* of torc_route_limit */
    bool routes_frozen;             /* nothing is added to the six above */
    struct mount *mounts;           /* of torc_static_dir, see mount.c */
    struct static_files *files;     /* what the cores have open */
    const struct io_engine *engine;
    _Atomic int phase; /* enum server_phase */
    struct server_signals signals;

    pthread_mutex_t mutex;   /* guards state[], and `now` for the admin core */
    pthread_cond_t changed;  /* of the monotonic clock */
    struct core *cores;      /* n_cores that serve, then the admin core, if any */
    enum loop_state *state;  /* by core */
    uint32_t n_cores, n_all; /* without and with the admin core; threads, of the engine threads */
    int *admin_descriptors;  /* that the admin core keeps */
    _Atomic bool has_cores;  /* for other threads: the fields above are set */
    struct router *admin_router;
    struct http_limits admin_limits;
    uint32_t room;   /* connections that a core's engine has room for */
    bool backtraces; /* backtrace_install was called */
    struct access_log *log;
    struct stall_watch stalls;
    struct tick_plan *ticks; /* what runs every so often */
    uint32_t n_ticks;
    struct metrics_plan *metrics; /* of the program */
    struct offload *pool;         /* of threads for work; while the server runs */
    uint64_t started_at;          /* ns */
    struct measures measures;     /* used on the admin core */
};

/* Keeps a message for torc_server_error. Returns `err`. */
int server_fail(struct torc_server *s, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
