#pragma once
/* The state of a server, shared by the files that implement it: server.c (set-up), life.c (life
 * cycle), cores.c, admin.c (admin listener) and check.c (--check). */

#include "base/latch.h"
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
    SERVER_TESTED, /* by torc/test.h, in place of all that follows */
    SERVER_READY,
    SERVER_DRAINING,
    SERVER_ENDED,
    SERVER_ABANDONED, /* it has ended, but a handler still holds its core */
};

/* What torc_server_main returns. ABANDONED: a handler, a job or a disk has not returned. */
enum server_exit { EXIT_START = 1, EXIT_OPTIONS, EXIT_ENGINE, EXIT_ABANDONED };

/* New settings, see reload.c. */
struct reload {
    struct option_set *base; /* what the program has set, before config file and command line */
    int argc;
    char **argv;
    bool checks;                /* the settings that follow are being read and checked, */
    bool has_thread;            /* on a thread of their own: until that ends, all of this and */
    pthread_t thread;           /* the `change` of the cores are its */
    struct latch end;           /* of the checks */
    struct option_set *checked; /* NULL: they are refused */
    struct option_set *next;    /* the settings that the cores are taking; NULL: none */
    struct http_limits admin_limits;
    _Atomic uint32_t n_left;      /* cores that have not taken them */
    struct access_move *log;      /* the new access log, or NULL */
    uint64_t n_loaded, n_refused; /* counted by the control thread */
};

typedef char address_text[SOCK_ADDR_TEXT];

struct torc_server {
    char *name;
    char *about;       /* for --help; NULL for none */
    bool serves_root;  /* at "/" */
    bool has_handlers; /* of its own, beside that */
    char error[1024];
    struct option_set *set;          /* what the program and the command line have set */
    struct option_set *used;         /* a copy, with which the server has started; NULL before */
    struct options *options;         /* of `used` */
    struct option_set *now;          /* the settings in use: `used`, until others are loaded */
    address_text *_Atomic addresses; /* of the listeners, then of the admin side, if any; NULL
                                        until it has started: `options` is set before */
    struct reload reload;
    struct router *router;
    struct middleware *middleware;
    struct error_handler *error_handlers;
    struct end_fn *ends; /* called for requests that end */
    uint32_t n_ends;
    struct route_plan *route_plans; /* of torc_route_limit */
    struct mount *mounts;           /* of torc_static and torc_static_dir */
    bool routes_closed;             /* nothing is added to the seven above */
    bool routes_frozen;             /* and they are ready to be found */
    struct static_files *files;     /* what the cores have open */
    const struct io_engine *engine;
    _Atomic int phase;          /* enum server_phase */
    _Atomic bool has_read;      /* torc_server_parse was called */
    _Atomic bool has_run;       /* torc_server_run was called */
    _Atomic bool has_signals;   /* which are torc's, in torc_server_run */
    _Atomic bool backtraces;    /* backtrace_install was called */
    _Atomic bool is_ending;     /* its cores are told to end */
    _Atomic bool lost_listener; /* one was shut down from outside, which ends the server */
    struct server_signals signals;

    pthread_t control;   /* see life.c */
    bool is_controlled;  /* it has not been joined */
    bool has_started;    /* and did not fail to */
    pid_t process;       /* that has started or opened it; 0 before, and once a start has failed */
    int status;          /* the exit status, once the server has ended or could not start */
    pthread_cond_t over; /* it has ended */

    pthread_mutex_t mutex;   /* guards state[], `control`, `status`, and `now` for the admin core */
    pthread_cond_t changed;  /* of the monotonic clock */
    struct core *cores;      /* n_cores that serve, then the admin core, if any */
    enum loop_state *state;  /* by core */
    uint32_t n_cores, n_all; /* without and with the admin core; threads, of the engine threads */
    int *admin_descriptors;  /* that the admin core keeps */
    _Atomic bool has_cores;  /* for other threads: the fields above are set */
    _Atomic uint32_t n_posting; /* calls of torc_post that may use them */
    struct router *admin_router;
    struct http_limits admin_limits;
    uint32_t room; /* connections that a core's engine has room for */
    struct access_log *log;
    struct stall_watch stalls;
    struct tick_plan *ticks; /* what runs every so often */
    uint32_t n_ticks;
    struct core_hook *hooks; /* what runs on each core before it serves, and after */
    uint32_t n_hooks;
    struct metrics_plan *metrics; /* of the program */
    struct offload *pool;         /* of threads for work; while the server runs */
    struct offload *openers;      /* of threads that open files for a core; likewise */
    uint64_t started_at;          /* ns */
    struct measures measures;     /* used on the admin core, */
    unsigned n_timelines;         /* and so is this: those being written */
};

/* After something was printed for which the program was called: 1, as there is nothing more to do,
 * or server_fail where it could not be written. */
int server_printed(struct torc_server *s);

/* Has backtraces written for --stall-warn, where the signals are torc's. */
void server_want_backtraces(struct torc_server *s);

/* Keeps a message for torc_server_error. Returns `err`. */
int server_fail(struct torc_server *s, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
