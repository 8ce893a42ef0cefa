#pragma once
/* Option parser. A program lists its options once, in a table; from that come the command line, the
 * config file, programmatic setting, --help and one-line error messages. */

#include "base/arena.h"
#include "base/slice.h"

#include <stdio.h>

enum {
    OPTIONS_MAX = 128,    /* options per set */
    OPTION_NAME_MAX = 40, /* bytes */
};

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_NUMBER, /* this and the next two: an unsigned integer of `size` bytes, from min to max */
    OPTION_SIZE,
    OPTION_DURATION, /* ns */
    OPTION_TEXT,     /* const char *: a copy, valid until option_set_end */
    OPTION_CUSTOM,   /* stored by `then` */
};

/* Where a value came from. Sources are read in this order, and later ones override earlier ones. */
enum option_level { LEVEL_DEFAULT, LEVEL_PROGRAM, LEVEL_CONFIG, LEVEL_COMMAND };

struct option_set;

struct option {
    const char *name;
    const char *takes; /* the argument's name in the help; NULL for a flag, which "no-" negates */
    const char *help;
    const char *value; /* default, as text; NULL: none */
    unsigned group;
    enum option_kind kind;
    size_t at, size; /* of the field in the program's struct */
    uint64_t min, max;
    const char *what;  /* valid values in words; NULL: derived from kind, min and max */
    const char *shown; /* the default as the help shows it; NULL: `value` */
    bool command;      /* command line only; read in the first pass */
    void *to;          /* where to store the value instead of at `at`, or NULL */
    /* Called after the value is stored; NULL for nothing. For a flag, `text` is "yes" or "no".
     * Returns 0; anything else stops reading and is returned to the caller: a negative errno from
     * option_fail, or a positive code of the program. */
    int (*then)(struct option_set *s, const struct option *o, const char *text);
    enum option_level level;
};

/* The name of an option in other programs, for a helpful error message. */
struct option_alias {
    const char *theirs; /* "-c", "--clients"; "-c" also matches "-c8" */
    const char *ours;   /* "--connections", or a remark for the message */
};

struct option_program {
    const struct option *table;
    size_t count;
    const char *const *groups; /* titles, in the order of the help; NULL: "Options of PROGRAM" */
    unsigned n_groups;
    const char *usage; /* text after the program's name */
    const char *notes; /* text at the end of the help */
    const struct option_alias *aliases;
    size_t n_aliases;
    /* Called for an argument that is not an option. Returns 0, or a negative errno from
     * option_fail. */
    int (*argument)(struct option_set *s, const char *text);
};

struct option_set {
    const struct option_program *program;
    void *values; /* the program's struct */
    struct option list[OPTIONS_MAX];
    size_t count;
    enum option_level level; /* of the source being read */
    const char *file;        /* the config file being read, or NULL */
    unsigned line;
    struct arena arena; /* holds copies of strings */
    char error[512];    /* last error message, without a newline */
};

/* Adds the table's options and stores their defaults in `values`. */
void option_set_init(struct option_set *s, const struct option_program *program, void *values);

void option_set_end(struct option_set *s);

/* Adds one option; its strings must outlive the set. 0; -EINVAL for a malformed name or default,
 * -EEXIST, -ENOMEM for too many options. */
int option_add(struct option_set *s, const struct option *o);

/* The next three return 0, a negative errno with a message in s->error, or the nonzero result of an
 * option's `then`. */

/* Sets one option by name, at LEVEL_PROGRAM. */
int option_set_value(struct option_set *s, const char *name, const char *value);

/* Call twice: the first pass reads the command-line-only options and the arguments that are not
 * options; the second reads the other options. */
int option_read_command(struct option_set *s, int argc, char **argv, bool first_pass);

/* Reads lines of "name = value". Call it between the two passes of option_read_command, so that the
 * command line overrides the file. */
int option_read_config(struct option_set *s, const char *path);

/* `about` is printed below the usage line; NULL for nothing. */
void option_print_help(const struct option_set *s, const char *program, const char *about,
                       FILE *out);

/* ---- for `then` and `argument` ---- */

/* Formats s->error as one line, prefixed with file and line if a config file is being read. Returns
 * -EINVAL. */
int option_fail(struct option_set *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fails with a message that says what the option takes and shows `text`; NULL: no value was
 * given. */
int option_not_valid(struct option_set *s, const struct option *o, const char *text);

/* A copy that is valid until option_set_end, or NULL. */
const char *option_keep(struct option_set *s, const char *text);

static inline bool option_is_flag(const struct option *o)
{
    return !o->takes;
}

/* The prefix of an option's name in messages. */
static inline const char *option_dashes(const struct option_set *s)
{
    return s->level == LEVEL_COMMAND ? "--" : "";
}
