#pragma once
/* One option and the set of all: shared by the files that list them, find them by name, take their
 * values and print their help. */

#include "base/arena.h"
#include "base/slice.h"
#include "serve/options.h"

enum {
    OPTIONS_MAX = 128,    /* those of the program's own included */
    OPTION_NAME_MAX = 40, /* bytes */
};

enum option_kind {
    OPT_FLAG,    /* bool */
    OPT_FEATURE, /* a bit of io.features: min is the bit; max is 1 where "yes" clears it */
    OPT_NUMBER,  /* these three: an integer of `size` bytes, from min to max */
    OPT_SIZE,
    OPT_DURATION,
    OPT_TEXT,     /* const char * */
    OPT_OWN,      /* a const char * of the program's */
    OPT_OWN_FLAG, /* the same, "yes" or "no" */
    OPT_ENGINE,
    OPT_CORES,
    OPT_LISTEN,
    OPT_ADMIN,
    OPT_LOG_FORMAT,
    OPT_BUFFERS,     /* a number, rounded up to a power of two */
    OPT_IOWQ,        /* a number, in two places */
    OPT_CONNECTIONS, /* a number; 0 follows the descriptor limit */
};

enum option_group {
    GROUP_SERVE,
    GROUP_ENGINE,
    GROUP_RING,
    GROUP_LIMITS,
    GROUP_FILES,
    GROUP_OTHER,
    GROUP_OWN, /* of the program's own */
    GROUPS
};

/* Where a value came from; a later one wins. */
enum option_level { LEVEL_DEFAULT, LEVEL_PROGRAM, LEVEL_CONFIG, LEVEL_COMMAND };

struct option {
    const char *name;
    const char *takes; /* as in the help; NULL for a flag */
    const char *help;
    const char *value; /* the default as text; NULL: unset */
    enum option_group group;
    enum option_kind kind;
    size_t at, size; /* in struct options */
    uint64_t min, max;
    const char *what;  /* it takes, in words; NULL where the kind says it */
    const char *shown; /* the default in words; NULL: `value` */
    bool command;      /* belongs on the command line, and is read before anything else */
    const char **own;  /* OPT_OWN, OPT_OWN_FLAG */
    enum option_level level;
};

extern const struct option option_table[];
extern const size_t option_table_count;
extern const char *const option_group_titles[GROUPS];
extern const char *const option_feature_help[IO_FEATURES];

struct option_set {
    struct options options;
    struct option list[OPTIONS_MAX];
    size_t count;
    enum option_level level; /* of what is being read */
    const char *file;        /* the config file being read, or NULL */
    unsigned line;
    struct arena arena; /* of strings */
    char engines[64];   /* those built in, with commas */
    char engine_help[128];
    char error[512];
};

static inline bool option_is_flag(const struct option *o)
{
    return o->kind == OPT_FLAG || o->kind == OPT_FEATURE || o->kind == OPT_OWN_FLAG;
}

/* What stands before an option's name in a message. */
static inline const char *option_dashes(const struct option_set *s)
{
    return s->level == LEVEL_COMMAND ? "--" : "";
}

/* Says so in s->error, in one line and behind the place in the config file; returns -EINVAL. */
int option_fail(struct option_set *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the option takes, and that `text` is not it, or that there is none (NULL). */
int option_not_valid(struct option_set *s, const struct option *o, const char *text);

/* "no-NAME" is found for a flag NAME, and *negated then true. NULL when there is none. */
struct option *option_find(struct option_set *s, slice name, bool *negated);

/* Says so, and which name was perhaps meant. `before` is what stood before the name. */
int option_unknown(struct option_set *s, const char *before, slice name);

/* A copy that lives as long as the set, or NULL. */
const char *option_keep(struct option_set *s, const char *text);

/* Takes a value at s->level; `text` NULL for none. 0 or -EINVAL. */
int option_set_value(struct option_set *s, struct option *o, const char *text, bool negated);
