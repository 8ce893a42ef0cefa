#pragma once
/* The options of a program, listed once in a table: the command line, a config file, what the
 * program sets itself, --help and the one line that a wrong one is met with. */

#include "base/arena.h"
#include "base/slice.h"

#include <stdio.h>

enum {
    OPTIONS_MAX = 128,    /* of a set */
    OPTION_NAME_MAX = 40, /* bytes */
};

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_NUMBER, /* these three: an integer of `size` bytes, from min to max */
    OPTION_SIZE,
    OPTION_DURATION, /* ns */
    OPTION_TEXT,     /* const char *: a copy that lives as long as the set */
    OPTION_CUSTOM,   /* whatever `then` makes of the text */
};

/* Where a value came from; a later one wins. */
enum option_level { LEVEL_DEFAULT, LEVEL_PROGRAM, LEVEL_CONFIG, LEVEL_COMMAND };

struct option_set;

struct option {
    const char *name;
    const char *takes; /* as in the help; NULL for a flag, which "no-" negates */
    const char *help;
    const char *value; /* the default as text; NULL: unset */
    unsigned group;
    enum option_kind kind;
    size_t at, size; /* in the program's struct */
    uint64_t min, max;
    const char *what;  /* it takes, in words; NULL where the kind says it */
    const char *shown; /* the default in words; NULL: `value` */
    bool command;      /* belongs on the command line, and is read before anything else */
    void *to;          /* where the value is stored instead of `at`, or NULL */
    /* Called once the value is stored; a flag's text is "yes" or "no". Not 0 ends the reading: a
     * negative errno after option_fail, or what the program wants. NULL for nothing. */
    int (*then)(struct option_set *s, const struct option *o, const char *text);
    enum option_level level;
};

/* What other programs call it: those who come from them try it first. */
struct option_alias {
    const char *theirs; /* "-c", "--clients"; one with a single dash may have its value attached */
    const char *ours;   /* "--connections", or a remark */
};

struct option_program {
    const struct option *table;
    size_t count;
    const char *const *groups; /* titles in the order of the help; NULL: "Options of PROGRAM" */
    unsigned n_groups;
    const char *usage; /* what stands after the program's name */
    const char *notes; /* the last lines of the help */
    const struct option_alias *aliases;
    size_t n_aliases;
    /* For what is not an option; 0, or negative errno after option_fail. */
    int (*argument)(struct option_set *s, const char *text);
};

struct option_set {
    const struct option_program *program;
    void *values; /* the program's struct */
    struct option list[OPTIONS_MAX];
    size_t count;
    enum option_level level; /* of what is being read */
    const char *file;        /* the config file being read, or NULL */
    unsigned line;
    struct arena arena; /* of strings */
    char error[512];    /* the last one, without a line end */
};

/* Stores every default. */
void option_set_init(struct option_set *s, const struct option_program *program, void *values);

void option_set_end(struct option_set *s);

/* One more option, whose strings are the caller's. 0, -EINVAL for a malformed name, -EEXIST,
 * -ENOMEM. */
int option_add(struct option_set *s, const struct option *o);

/* These return 0, negative errno with a line in s->error, or what an option's `then` did. */

/* An option by its name, set by the program. */
int option_set_value(struct option_set *s, const char *name, const char *value);

/* Those that belong on the command line, and what is not an option, are read early; the others
 * when it is read again. */
int option_read_command(struct option_set *s, int argc, char **argv, bool early);

/* Lines of "name = value". What the command line has said stands, so it is read after. */
int option_read_config(struct option_set *s, const char *path);

/* `about` stands below the first line; NULL for nothing. */
void option_print_help(const struct option_set *s, const char *program, const char *about,
                       FILE *out);

/* ---- for `then` and `argument` ---- */

/* Says so in s->error, in one line and after the place in the config file; returns -EINVAL. */
int option_fail(struct option_set *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the option takes, and that `text` is not it, or that there is none (NULL). */
int option_not_valid(struct option_set *s, const struct option *o, const char *text);

/* A copy that lives as long as the set, or NULL. */
const char *option_keep(struct option_set *s, const char *text);

static inline bool option_is_flag(const struct option *o)
{
    return !o->takes;
}

/* What stands before an option's name in a message. */
static inline const char *option_dashes(const struct option_set *s)
{
    return s->level == LEVEL_COMMAND ? "--" : "";
}
