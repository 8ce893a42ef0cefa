#pragma once
/* The whole server, as the files see it that share its work: the life cycle (server.c), its cores
 * (cores.c), the admin side (admin.c) and the check of its options (check.c). */

#include "files/static.h"
#include "http/router.h"
#include "serve/access_log.h"
#include "serve/core.h"
#include "serve/options.h"

#include <pthread.h>

enum server_phase { SERVER_SETUP, SERVER_STARTING, SERVER_READY, SERVER_DRAINING };

struct torc_server {
    char *name;
    char *about;            /* for --help; NULL without */
    bool serves_files_only; /* from the top of the tree on */
    char error[256];
    struct option_set *set;
    struct options *options;
    struct router *router;
    struct static_root *root; /* NULL without --root */
    const struct io_engine *engine;
    _Atomic int phase; /* enum server_phase */
    int stop_fd;       /* an eventfd: torc_server_stop */

    pthread_mutex_t mutex; /* guards state[] */
    pthread_cond_t changed;
    struct core *cores;      /* one per core, and last the admin side's */
    enum loop_state *state;  /* of each */
    uint32_t n_cores, n_all; /* without and with the admin side's */
    struct router *admin_router;
    struct http_limits admin_limits;
    struct access_log *log;
    uint64_t started_at; /* ns */
};
