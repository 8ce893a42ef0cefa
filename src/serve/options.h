#pragma once
/* The server's options. The command line, the config file and torc_server_set share their names,
 * parsing and messages (base/option.h). */

#include "serve/options_table.h"

/* Threads of the pool for work: as given, else one for each core, and at least two. */
static inline uint32_t options_work_threads(const struct options *o)
{
    if (o->work_threads != WORK_THREADS_DERIVED) return o->work_threads;
    return o->n_cpus > 2 ? o->n_cpus : 2;
}

/* Divides what a client may do among the cores: each counts for itself. Call once. */
void options_divide(struct options *o);

/* Fits the limits to threads that have one connection each; logs which mean something else, or
 * nothing, then. */
void options_fit_threads(struct options *o);

/* A set with every option at its default. NULL if out of memory. */
struct option_set *options_new(void);
void options_free(struct option_set *s);

/* A set that begins with the values of `s`, which has to live longer, and takes others. Those of
 * the program's own options are not stored in the program. NULL if out of memory. */
struct option_set *options_copy(const struct option_set *s);

/* Sets an option by its name. 0, or -EINVAL or -ENOMEM and a message in options_error. */
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
 * 0, or -EINVAL or -ENOMEM and a message in options_error. */
int options_read(struct option_set *s, int argc, char **argv);

/* Once all values are set: derives the defaults that depend on others, and checks what has to go
 * together. 0, or -EINVAL or -ENOMEM and a message in options_error. */
int options_settle(struct option_set *s);

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
