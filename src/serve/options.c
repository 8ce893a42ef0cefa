#include "serve/option.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    LINE_MAX_BYTES = 4096, /* of a config file */
    TEXT_BYTES = 64 << 20, /* of values, in all */
};

/* ---- a set ---- */

static void add_features(struct option_set *s)
{
    for (unsigned f = 0; f < IO_FEATURES; f++) {
        slice name = slice_str(io_feature_names[f]);
        /* The flag of such a feature is named by what it does without. */
        bool inverted = slice_starts(name, SLICE("no-"));
        s->list[s->count++] = (struct option){
            .name = name.ptr + (inverted ? 3 : 0),
            .help = option_feature_help[f],
            .value = inverted ? "no" : "yes",
            .group = GROUP_RING,
            .kind = OPT_FEATURE,
            .min = f,
            .max = inverted,
        };
    }
}

struct option_set *options_new(void)
{
    struct option_set *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    arena_init(&s->arena, NULL, 0, TEXT_BYTES);
    for (const struct io_engine *const *e = io_engines; *e; e++) {
        size_t n = strlen(s->engines);
        snprintf(s->engines + n, sizeof s->engines - n, "%s%s", n ? ", " : "", (*e)->name);
    }
    snprintf(s->engine_help, sizeof s->engine_help, "how to talk to the kernel: one of %s",
             s->engines);
    ASSERT(option_table_count + IO_FEATURES <= OPTIONS_MAX);
    memcpy(s->list, option_table, option_table_count * sizeof *option_table);
    s->count = option_table_count;
    add_features(s);
    for (size_t i = 0; i < s->count; i++) {
        struct option *o = &s->list[i];
        if (o->kind == OPT_ENGINE) o->help = s->engine_help;
        int err = o->value ? option_set_value(s, o, o->value, false) : 0;
        ASSERT(err == 0);
    }
    return s;
}

void options_free(struct option_set *s)
{
    if (!s) return;
    arena_end(&s->arena);
    free(s);
}

struct options *options_get(struct option_set *s)
{
    return &s->options;
}

const char *options_error(const struct option_set *s)
{
    return s->error;
}

int options_set(struct option_set *s, const char *name, const char *value)
{
    bool negated;
    s->level = LEVEL_PROGRAM;
    struct option *o = option_find(s, slice_str(name), &negated);
    return o ? option_set_value(s, o, value, negated) : option_unknown(s, "", slice_str(name));
}

static bool good_name(slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c != '-' || i == 0))
            return false;
    }
    return name.len > 0 && name.len <= OPTION_NAME_MAX;
}

int options_add(struct option_set *s, const char *name, const char *takes, const char *help,
                const char **value)
{
    bool negated;
    if (!good_name(slice_str(name))) return -EINVAL;
    if (option_find(s, slice_str(name), &negated)) return -EEXIST;
    struct option o = {
        .name = option_keep(s, name),
        .takes = takes ? option_keep(s, takes) : NULL,
        .help = option_keep(s, help ? help : ""),
        .group = GROUP_OWN,
        .kind = takes ? OPT_OWN : OPT_OWN_FLAG,
        .own = value,
    };
    if (!o.name || !o.help || (takes && !o.takes) || s->count == OPTIONS_MAX) return -ENOMEM;
    *value = NULL;
    s->list[s->count++] = o;
    return 0;
}

/* ---- the command line ---- */

/* The option at argv[*i], and its value where it has one, behind which *i then stands. */
static int read_argument(struct option_set *s, int argc, char **argv, int *i, struct option **o,
                         const char **value, bool *negated)
{
    const char *arg = argv[(*i)++];
    slice rest = slice_str(arg), name;
    struct stat st;
    if (arg[0] != '-' && stat(arg, &st) == 0 && S_ISDIR(st.st_mode))
        return option_fail(s, "a directory is served with --root %.200s", arg);
    if (!slice_starts(rest, SLICE("-")) || strspn(arg, "-") == rest.len)
        return option_fail(s, "argument \"%.60s\" is not an option (see --help)", arg);
    bool long_form = slice_starts(rest, SLICE("--"));
    rest = slice_skip(rest, long_form ? 2 : 1);
    slice_cut(&rest, '=', &name);
    if (!long_form && slice_eq(name, SLICE("h"))) {
        name = SLICE("help");
        long_form = true;
    }
    *o = long_form ? option_find(s, name, negated) : NULL;
    if (!*o) return option_unknown(s, long_form ? "--" : "-", name);
    *value = rest.ptr;
    if (*value || option_is_flag(*o)) return 0;
    /* What begins with "--" is the next option; such a value can be given behind '='. */
    if (*i < argc && strncmp(argv[*i], "--", 2) != 0) *value = argv[(*i)++];
    return *value ? 0 : option_not_valid(s, *o, NULL);
}

static int read_command(struct option_set *s, int argc, char **argv, bool early)
{
    s->level = LEVEL_COMMAND;
    for (int i = 1; i < argc;) {
        struct option *o = NULL;
        const char *value = NULL;
        bool negated = false;
        int err = read_argument(s, argc, argv, &i, &o, &value, &negated);
        if (err == 0 && o->command == early) err = option_set_value(s, o, value, negated);
        if (err < 0) return err;
    }
    return 0;
}

/* ---- the config file ---- */

/* A comment begins with '#' at the begin of a line or behind white space. */
static void cut_comment(char *line)
{
    for (char *c = line; *c; c++)
        if (*c == '#' && (c == line || c[-1] == ' ' || c[-1] == '\t')) {
            *c = '\0';
            return;
        }
}

static int read_line(struct option_set *s, char *line)
{
    bool negated;
    line[strcspn(line, "\r\n")] = '\0';
    cut_comment(line);
    slice rest = slice_trim(slice_str(line)), name;
    if (rest.len == 0) return 0;
    slice_cut(&rest, '=', &name);
    name = slice_trim(name);
    if (!rest.ptr) return option_fail(s, "takes lines of \"name = value\"");
    struct option *o = option_find(s, name, &negated);
    if (!o) return option_unknown(s, "", name);
    if (o->command) return option_fail(s, "%s belongs on the command line", o->name);
    slice value = slice_trim(rest);
    char *text = (char *)(uintptr_t)value.ptr;
    text[value.len] = '\0';
    return option_set_value(s, o, text, negated);
}

static int read_lines(struct option_set *s, FILE *in)
{
    static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, which some editors put first */
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof line, in)) {
        if (s->line++ == 0 && strncmp(line, mark, 3) == 0)
            memmove(line, line + 3, strlen(line + 3) + 1);
        if (!strchr(line, '\n') && !feof(in))
            return option_fail(s, "a line has at most %d bytes and no NUL", LINE_MAX_BYTES - 2);
        int err = read_line(s, line);
        if (err < 0) return err;
    }
    return 0;
}

static int read_config(struct option_set *s, const char *path)
{
    FILE *in = fopen(path, "re");
    if (!in) return option_fail(s, "cannot read config file %.200s: %s", path, strerror(errno));
    s->level = LEVEL_CONFIG;
    s->file = path;
    s->line = 0;
    int err = read_lines(s, in);
    s->file = NULL;
    if (err == 0 && ferror(in))
        err = option_fail(s, "cannot read config file %.200s: %s", path, strerror(errno));
    fclose(in);
    return err;
}

static int check_root(struct option_set *s)
{
    struct stat st;
    const char *root = s->options.root;
    if (!root) return 0;
    if (stat(root, &st) < 0)
        return option_fail(s, "--root takes a directory; %.200s: %s", root, strerror(errno));
    return S_ISDIR(st.st_mode)
               ? 0
               : option_fail(s, "--root takes a directory, which %.200s is not", root);
}

/* SO_REUSEPORT would let both listen, and give each a part of the clients. */
static int check_addresses(struct option_set *s)
{
    const struct options *o = &s->options;
    char text[SOCK_ADDR_TEXT];
    for (uint32_t i = 0; i < o->n_listen; i++) {
        sock_addr_format(&o->listen[i], text);
        for (uint32_t j = 0; j < i; j++)
            if (sock_addr_clash(&o->listen[i], &o->listen[j]))
                return option_fail(s, "--listen %s is within another --listen", text);
        if (o->has_admin && sock_addr_clash(&o->admin, &o->listen[i]))
            return option_fail(s, "--admin takes an address of its own, and --listen has %s", text);
    }
    return 0;
}

int options_read(struct option_set *s, int argc, char **argv)
{
    struct options *o = &s->options;
    int err = read_command(s, argc, argv, true);
    if (err < 0 || o->help || o->version) return err;
    if (o->config) err = read_config(s, o->config);
    if (err == 0) err = read_command(s, argc, argv, false);
    if (err == 0) err = check_root(s);
    return err < 0 ? err : check_addresses(s);
}
