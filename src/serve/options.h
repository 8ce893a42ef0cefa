#pragma once
/* Everything that can be set, once: the command line, the config file and torc_server_set share the
 * names, the parsing and the messages. */

#include "base/cpus.h"
#include "base/option.h"
#include "http/context.h"
#include "io/io.h"
#include "io/sock.h"
#include "serve/acceptor.h"

enum log_format { LOG_COMBINED, LOG_JSON };

struct options {
    const char *engine;     /* NULL: the best that works */
    uint16_t cpu[CPUS_MAX]; /* of each core, in order */
    uint32_t n_cpus;
    bool pin; /* each core's thread to its CPU */
    struct sock_addr listen[LISTEN_MAX];
    uint32_t n_listen;
    int backlog;
    struct sock_addr admin;
    bool has_admin;
    const char *root; /* NULL without */
    const char *config;
    bool check, json, version, help;
    const char *access_log; /* NULL: none; "-": stdout */
    enum log_format access_log_format;
    uint64_t drain_timeout; /* ns */
    uint64_t
        file_cache_ttl;  /* ns that an open file and its metadata are trusted, at most a second */
    uint32_t file_cache; /* open files of a core */
    struct io_config io;
    struct http_limits limits;
};

/* With every default. NULL when memory is out. */
struct option_set *options_new(void);
void options_free(struct option_set *s);

/* What has been set so far; slices and strings in it live as long as the set. */
static inline struct options *options_get(struct option_set *s)
{
    return s->values;
}

/* One option by the name of its flag: 0, or -EINVAL and a line in options_error. */
static inline int options_set(struct option_set *s, const char *name, const char *value)
{
    return option_set_value(s, name, value);
}

/* One more option of the program's own; its value lands in *value. 0, -EEXIST, -ENOMEM. */
int options_add(struct option_set *s, const char *name, const char *takes, const char *help,
                const char **value);

/* The command line, and the config file that it names, whose values yield to those of the command
 * line. 0, or -EINVAL and a line in options_error. */
int options_read(struct option_set *s, int argc, char **argv);

/* The last error, without a line end; "" when there was none. */
static inline const char *options_error(const struct option_set *s)
{
    return s->error;
}

static inline void options_print_help(const struct option_set *s, const char *program,
                                      const char *about, FILE *out)
{
    option_print_help(s, program, about, out);
}
