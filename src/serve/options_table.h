#pragma once
/* The table of the server's options: names, help, defaults, bounds, and the values. */

#include "base/cpus.h"
#include "base/option.h"
#include "http/context.h"
#include "io/io.h"
#include "io/sock.h"
#include "serve/acceptor.h"

enum log_format { LOG_COMBINED, LOG_JSON };

#define WORK_THREADS_DERIVED UINT32_MAX
#define USER_TIMEOUT_DERIVED UINT64_MAX

enum { SERVER_NAME_MAX = 128, SERVER_LINE = SERVER_NAME_MAX + 16 };

struct options {
    const char *engine;     /* NULL for the best available */
    uint16_t cpu[CPUS_MAX]; /* by core */
    uint32_t n_cpus;
    uint32_t threads;         /* of the engine whose threads serve one connection each */
    bool pin;                 /* pin each core's thread to its CPU */
    bool private_descriptors; /* a descriptor table per core */
    struct sock_addr listen[LISTEN_MAX];
    int given[LISTEN_MAX]; /* its socket, where the process was started with it; else -1 */
    uint32_t n_listen;
    uint32_t socket_mode; /* of the files of Unix sockets; 0: as umask(2) says */
    int backlog;
    struct sock_addr admin;
    bool has_admin;
    const char *root; /* NULL for none */
    const char *config;
    bool check, json, version, help;
    const char *access_log; /* NULL for none; "-" for stdout */
    enum log_format access_log_format;
    uint64_t stall_warn;     /* ns; 0: do not watch the cores */
    bool timing;             /* responses carry Server-Timing */
    const char *server_name; /* of the field Server; "none": without */
    char server_line[SERVER_LINE];
    uint32_t server_line_len; /* of that field, if it is `named` */
    bool named;               /* the name is not torc's own */
    uint32_t timeline;        /* events that a core records; 0: none */
    uint64_t file_cache_ttl;  /* ns that an open file and its metadata are reused, at most 1 s */
    uint32_t file_cache;      /* maximum open files per core */
    uint32_t header_fields;   /* as limits.head.fields */
    uint32_t work_threads;    /* see options_work_threads */
    uint32_t work_queue;      /* jobs that wait for a thread at most */
    uint64_t rate;            /* requests of a client in each rate_period; 0: any number */
    uint64_t rate_period;     /* ns */
    uint32_t rate_burst;      /* 0: as `rate` */
    struct sock_keepalive keepalive;
    struct io_config io;
    struct http_limits limits;
    bool derived_max_conns; /* limits.max_conns follows from the descriptor limit */
};

/* The current values; strings in them live as long as the set. */
static inline struct options *options_get(struct option_set *s)
{
    return s->values;
}

/* How many of so many descriptors may be connections: all but 64; of few about half. */
enum { DESCRIPTORS_FEW = 128 };
uint64_t options_descriptors_for_sockets(uint64_t limit);

/* Fails for an address that is not valid; names the interface of one that is, but for it. */
int options_fail_address(struct option_set *s, const struct option *o, const char *text);

/* For struct option.then: options_listen.c. */
int options_add_listen(struct option_set *s, const struct option *o, const char *text);
int options_set_socket_mode(struct option_set *s, const struct option *o, const char *text);
int options_add_proxy(struct option_set *s, const struct option *o, const char *text);
int options_set_proxy_field(struct option_set *s, const struct option *o, const char *text);

/* Adds all sockets of inherited.h to --listen. 0, or negative errno after option_fail. */
int options_listen_inherited(struct option_set *s, const struct option *o);
/* Derives the limit of connections from the descriptor limit as it is now, unless it is given. */
void options_limit_connections(struct options *o);

enum group {
    GROUP_SERVE,
    GROUP_ENGINE,
    GROUP_RING,
    GROUP_LIMITS,
    GROUP_FILES,
    GROUP_OTHER,
    GROUP_PROGRAM, /* added by options_add */
};

enum { OPTIONS_ALIASES = 25 };
extern const struct option_alias options_aliases[OPTIONS_ALIASES]; /* options_alias.c */
extern const struct option_program options_table;
