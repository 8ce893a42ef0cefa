#pragma once
/* The options of a program, listed once in a table. The command line, a config file, values that
 * the program sets itself, --help and error messages all work from it. */

#include "base/arena.h"
#include "base/slice.h"

#include <stdio.h>

enum {
    OPTIONS_MAX = 128,         /* per set */
    OPTION_NAME_MAX = 40,      /* bytes */
    OPTION_FILE_MAX = 1 << 20, /* bytes of a config file */
};

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_NUMBER,   /* uint32_t or uint64_t, as `size` says; so are the next two */
    OPTION_SIZE,     /* bytes */
    OPTION_DURATION, /* ns */
    OPTION_TEXT,     /* const char *: a copy that lives as long as the set */
    OPTION_CUSTOM,   /* `then` parses and stores it */
};

/* Where a value came from, in order of precedence: the last one wins. */
enum option_level { LEVEL_DEFAULT, LEVEL_PROGRAM, LEVEL_CONFIG, LEVEL_COMMAND };

struct option_set;

struct option {
    const char *name;
    const char *takes; /* the value's name in the help; NULL for a flag, which "no-" negates */
    const char *help;
    const char *value; /* the default as text; NULL for none */
    unsigned group;
    enum option_kind kind;
    size_t at, size; /* of the member of the program's struct that holds the value */
    uint64_t min, max;
    const char *what;  /* the values it takes, in words; NULL derives them from the kind */
    const char *shown; /* the default as the help shows it; NULL shows `value` */
    bool command;      /* only allowed on the command line, and read before all other options */
    bool repeats;      /* each value is added to the others of its level */
    bool reload;       /* a running server takes a new value from its config file */
    void *to;          /* where to store the value instead of `at`, or NULL */
    /* Called once the value is stored; a flag's text is "yes" or "no". A result other than 0 stops
     * reading and is returned: negative errno after option_fail, or a value of the program's
     * choice. May be NULL. */
    int (*then)(struct option_set *s, const struct option *o, const char *text);
    enum option_level level;
    const char *text; /* the value without quotes, several separated by a space; or NULL */
    unsigned line;    /* of the config file that it comes from; 0: from elsewhere */
};

/* A similar program's name for an option: the error message then names ours. */
struct option_alias {
    const char *theirs; /* "-c", "--clients"; a single letter may have a number attached */
    const char *ours;   /* "--connections", or a remark to show instead */
};

struct option_program {
    const struct option *table;
    size_t count;
    const char *const *groups; /* titles in the order of the help; NULL for "Options of PROGRAM" */
    unsigned n_groups;
    const char *usage; /* follows the program's name */
    const char *notes; /* the last lines of the help */
    const struct option_alias *aliases;
    size_t n_aliases;
    /* Called for an argument that is not an option. 0, or negative errno after option_fail. */
    int (*argument)(struct option_set *s, const char *text);
};

struct option_set {
    const struct option_program *program;
    void *values; /* the program's struct */
    struct option list[OPTIONS_MAX];
    size_t count;
    enum option_level level; /* of the values being read */
    const char *file;        /* the config file being read, or NULL */
    unsigned line;           /* in it, from 1 */
    struct arena arena;      /* of copied strings */
    char error[512];         /* the last error message, without a line end; "" for none */
};

/* Adds the table's options and stores their defaults in `values`. 0 or -ENOMEM; option_set_end has
 * to follow in any case. */
int option_set_init(struct option_set *s, const struct option_program *program, void *values);

void option_set_end(struct option_set *s);

/* Makes `to` a copy of `from` that stores further values in `values`, a copy of those of `from`.
 * What both have stays in the memory of `from`, which has to live longer. */
void option_set_copy(struct option_set *to, const struct option_set *from, void *values);

/* Adds an option; its strings stay the caller's. 0, -EINVAL for a malformed name, -EEXIST, or
 * -ENOMEM. */
int option_add(struct option_set *s, const struct option *o);

/* NULL if there is none. "no-NAME" finds the flag NAME, and then *negated is set. */
struct option *option_find(struct option_set *s, slice name, bool *negated);

/* Where the value of an option came from. */
enum option_level option_level(struct option_set *s, const char *name);

/* The next three return 0, negative errno with a message in s->error, or the result of `then`. */

/* Sets an option by its name, at the level of the program. */
int option_set_value(struct option_set *s, const char *name, const char *value);

/* To be called twice: with `early` it reads the options that only the command line may have, and
 * the arguments that are no options; without, all other options. */
int option_read_command(struct option_set *s, int argc, char **argv, bool early);

/* Reads lines of "name = value" (config_line.h), of at most OPTION_FILE_MAX bytes. An option that
 * does not repeat may be on one line only. To be called before the command line's other options are
 * read, which then win. */
int option_read_config(struct option_set *s, const char *path);

/* Prints --help, with `about` below the usage line; NULL for none. */
void option_print_help(const struct option_set *s, const char *program, const char *about,
                       FILE *out);

/* ---- for `then` and `argument` ---- */

/* Writes s->error, prefixed with the position in the config file that is being read. -EINVAL. */
int option_fail(struct option_set *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Likewise, for lack of memory. -ENOMEM. */
int option_no_memory(struct option_set *s);

/* How many bytes of what should begin with a name are told: those of the name. What is behind it
 * may be a password. */
int option_tellable(slice text);

/* Fails, and names the option that may have been meant. `name` has the dashes that were given. */
int option_fail_unknown(struct option_set *s, slice name);

/* Fails with the values that the option takes and the `text` that was given; NULL if none was. */
int option_not_valid(struct option_set *s, const struct option *o, const char *text);

/* A copy that is valid until option_set_end, or NULL. */
const char *option_keep(struct option_set *s, const char *text);

static inline bool option_is_flag(const struct option *o)
{
    return !o->takes;
}

/* The prefix of an option's name in a message. */
static inline const char *option_dashes(const struct option_set *s)
{
    return s->level == LEVEL_COMMAND ? "--" : "";
}
