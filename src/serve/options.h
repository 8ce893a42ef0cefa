#pragma once
/* The server's options. The command line, the config file and torc_server_set share their names,
 * parsing and messages (base/option.h). */

#include "base/cpus.h"
#include "base/option.h"
#include "http/context.h"
#include "io/io.h"
#include "io/sock.h"
#include "serve/acceptor.h"

enum log_format { LOG_COMBINED, LOG_JSON };

#define WORK_THREADS_DERIVED UINT32_MAX

struct options {
    const char *engine;     /* NULL for the best available */
    uint16_t cpu[CPUS_MAX]; /* by core */
    uint32_t n_cpus;
    uint32_t threads;         /* of the engine whose threads serve one connection each */
    bool pin;                 /* pin each core's thread to its CPU */
    bool private_descriptors; /* a descriptor table per core */
    struct sock_addr listen[LISTEN_MAX];
    uint32_t n_listen;
    int backlog;
    struct sock_addr admin;
    bool has_admin;
    const char *root; /* NULL for none */
    const char *config;
    bool check, json, version, help;
    const char *access_log; /* NULL for none; "-" for stdout */
    enum log_format access_log_format;
    uint64_t drain_timeout;  /* ns */
    uint64_t stall_warn;     /* ns; 0: do not watch the cores */
    uint64_t file_cache_ttl; /* ns that an open file and its metadata are reused, at most 1 s */
    uint32_t file_cache;     /* maximum open files per core */
    uint32_t header_fields;  /* as limits.head.fields */
    uint32_t work_threads;   /* see options_work_threads */
    uint32_t work_queue;     /* jobs that wait for a thread at most */
    struct io_config io;
    struct http_limits limits;
    bool derived_max_conns; /* limits.max_conns follows from the descriptor limit */
};

/* Threads of the pool for work: as given, else one for each core, and at least two. */
static inline uint32_t options_work_threads(const struct options *o)
{
    if (o->work_threads != WORK_THREADS_DERIVED) return o->work_threads;
    return o->n_cpus > 2 ? o->n_cpus : 2;
}

/* How many of so many descriptors may be connections. */
uint64_t options_descriptors_for_sockets(uint64_t limit);

/* A set with every option at its default. NULL if out of memory. */
struct option_set *options_new(void);
void options_free(struct option_set *s);

/* The current values; strings in them live as long as the set. */
static inline struct options *options_get(struct option_set *s)
{
    return s->values;
}

/* Sets an option by its name. 0, or -EINVAL and a message in options_error. */
static inline int options_set(struct option_set *s, const char *name, const char *value)
{
    return option_set_value(s, name, value);
}

/* Adds an option of the program's own, a flag if `takes` is NULL. Its value is stored in *value:
 * text, "yes" or "no" for a flag, NULL if not given. 0, -EINVAL for a malformed name, -EEXIST, or
 * -ENOMEM. */
int options_add(struct option_set *s, const char *name, const char *takes, const char *help,
                const char **value);

/* Reads the command line and the config file that it names; the command line takes precedence.
 * 0, or -EINVAL and a message in options_error. */
int options_read(struct option_set *s, int argc, char **argv);

/* The last error message, without a line end; "" if there was none. */
static inline const char *options_error(const struct option_set *s)
{
    return s->error;
}

static inline void options_print_help(const struct option_set *s, const char *program,
                                      const char *about, FILE *out)
{
    option_print_help(s, program, about, out);
}
