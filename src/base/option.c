#include "base/option.h"

#include "base/config_line.h"
#include "base/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

enum {
    ARENA_LIMIT = 64 << 20, /* bytes of copied strings per set */
    QUOTED_MAX = 60,        /* bytes of a name or value that a message quotes */
};

/* ---- errors ---- */

int option_fail(struct option_set *s, const char *format, ...)
{
    int n = 0;
    if (s->file) n = snprintf(s->error, sizeof s->error, "%.200s:%u: ", s->file, s->line);
    va_list args;
    va_start(args, format);
    vsnprintf(s->error + n, sizeof s->error - (size_t)n, format, args);
    va_end(args);
    for (char *c = s->error; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?'; /* a value may hold any byte */
    return -EINVAL;
}

int option_no_memory(struct option_set *s)
{
    option_fail(s, "out of memory");
    return -ENOMEM;
}

/* Those that the option takes: "4096, 16k or 1m". */
static void put_sizes(const struct option *o, char *out, size_t size)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } example[] = {{"4096", 4096}, {"16k", 16 << 10}, {"1m", 1 << 20}};
    const char *before = ", such as ";
    *out = '\0';
    for (size_t i = 0, n = 0; i < ARRAY_LEN(example); i++) {
        if (example[i].bytes < o->min || example[i].bytes > o->max) continue;
        bool last = i + 1 == ARRAY_LEN(example) || example[i + 1].bytes > o->max;
        if (n > 0) before = last ? " or " : ", ";
        n += (size_t)snprintf(out + n, size - n, "%s%s", before, example[i].text);
    }
}

/* What the option takes, in words. */
static void describe_values(const struct option *o, char *out, size_t size)
{
    char min[VALUE_TEXT], max[VALUE_TEXT], sizes[40];
    if (option_is_flag(o)) {
        snprintf(out, size, "yes or no");
    } else if (o->what || o->kind == OPTION_TEXT || o->kind == OPTION_CUSTOM) {
        snprintf(out, size, "%s", o->what ? o->what : o->takes);
    } else if (o->kind == OPTION_NUMBER) {
        snprintf(out, size, "a number from %" PRIu64 " to %" PRIu64, o->min, o->max);
    } else if (o->kind == OPTION_SIZE) {
        value_size_text(o->min, min);
        value_size_text(o->max, max);
        put_sizes(o, sizes, sizeof sizes);
        snprintf(out, size, "a size from %s to %s%s", min, max, sizes);
    } else {
        value_duration_text(o->min, min);
        value_duration_text(o->max, max);
        snprintf(out, size, "a time from %s to %s with a unit, such as 500ms, 10s or 2m", min, max);
    }
}

int option_not_valid(struct option_set *s, const struct option *o, const char *text)
{
    char what[160];
    describe_values(o, what, sizeof what);
    if (!text)
        return option_fail(s, "%s%s takes %s, but no value was given", option_dashes(s), o->name,
                           what);
    return option_fail(s, "%s%s takes %s, not \"%.*s%s\"", option_dashes(s), o->name, what,
                       QUOTED_MAX, text, strlen(text) > QUOTED_MAX ? "..." : "");
}

/* ---- names ---- */

struct option *option_find(struct option_set *s, slice name, bool *negated)
{
    *negated = false;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < s->count; i++) {
            struct option *o = &s->list[i];
            if (slice_eq(slice_str(o->name), name) && (!*negated || option_is_flag(o))) return o;
        }
        if (!slice_starts(name, SLICE("no-"))) break;
        name = slice_skip(name, 3);
        *negated = true;
    }
    return NULL;
}

int option_tellable(slice text)
{
    size_t n = 0;
    while (n < text.len && n < QUOTED_MAX &&
           (isalnum((unsigned char)text.ptr[n]) || (unsigned char)text.ptr[n] >= 0x80 ||
            memchr("-_.", text.ptr[n], 3)))
        n++;
    return (int)n;
}

/* ---- values ---- */

const char *option_keep(struct option_set *s, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc_aligned(&s->arena, size, 1);
    return copy ? memcpy(copy, text, size) : NULL;
}

static void *destination(const struct option_set *s, const struct option *o)
{
    return o->to ? o->to : (char *)s->values + o->at;
}

static int store_flag(struct option_set *s, const struct option *o, const char **text, bool negated)
{
    bool on;
    if (!value_bool(slice_str(*text), &on)) return option_not_valid(s, o, *text);
    on ^= negated;
    *text = on ? "yes" : "no";
    if (o->kind == OPTION_FLAG) *(bool *)destination(s, o) = on;
    return 0;
}

static int store_text(struct option_set *s, const struct option *o, const char *text)
{
    if (!*text) return option_not_valid(s, o, text);
    const char *copy = option_keep(s, text);
    if (!copy) return option_no_memory(s);
    *(const char **)destination(s, o) = copy;
    return 0;
}

static int store_number(struct option_set *s, const struct option *o, const char *text)
{
    uint64_t v;
    slice t = slice_str(text);
    bool valid = o->kind == OPTION_SIZE       ? value_size(t, &v)
                 : o->kind == OPTION_DURATION ? value_duration(t, &v)
                                              : slice_u64(t, &v);
    if (!valid || v < o->min || v > o->max) return option_not_valid(s, o, text);
    uint32_t narrow = (uint32_t)v;
    ASSERT(o->size == sizeof v || o->size == sizeof narrow);
    memcpy(destination(s, o), o->size == sizeof v ? (void *)&v : (void *)&narrow, o->size);
    return 0;
}

/* Keeps the text of a value, numbers in the form that all with this value have. */
static int keep_text(struct option_set *s, struct option *o, const char *text)
{
    char number[VALUE_TEXT];
    uint64_t v = 0;
    slice t = slice_str(text);
    bool found = o->kind == OPTION_SIZE       ? value_size(t, &v)
                 : o->kind == OPTION_DURATION ? value_duration(t, &v)
                                              : o->kind == OPTION_NUMBER && slice_u64(t, &v);
    if (found && o->kind == OPTION_SIZE) value_size_text(v, number);
    if (found && o->kind == OPTION_DURATION) value_duration_text(v, number);
    if (found && o->kind == OPTION_NUMBER) snprintf(number, sizeof number, "%" PRIu64, v);
    if (found) t = slice_str(number);
    slice before = o->repeats && o->text && o->level == s->level ? slice_str(o->text) : SLICE("");
    size_t size = before.len + t.len + 2;
    char *kept = arena_alloc_aligned(&s->arena, size, 1);
    if (!kept) return option_no_memory(s);
    snprintf(kept, size, "%.*s%s%s", (int)before.len, before.ptr, before.len ? " " : "", t.ptr);
    o->text = kept;
    return 0;
}

/* Stores a value, which comes from s->level. `text` is NULL where none was given. */
static int store_value(struct option_set *s, struct option *o, const char *text, bool negated)
{
    int err = 0;
    if (!text && option_is_flag(o)) text = "yes";
    if (!text) return option_not_valid(s, o, text);
    if (option_is_flag(o))
        err = store_flag(s, o, &text, negated);
    else if (o->kind == OPTION_TEXT)
        err = store_text(s, o, text);
    else if (o->kind != OPTION_CUSTOM)
        err = store_number(s, o, text);
    if (err == 0 && o->then) err = o->then(s, o, text);
    if (err == 0) err = keep_text(s, o, text);
    if (err) return err;
    o->level = s->level;
    o->line = s->file ? s->line : 0;
    return 0;
}

/* ---- a set ---- */

int option_set_init(struct option_set *s, const struct option_program *program, void *values)
{
    int err = 0;
    *s = (struct option_set){.program = program, .values = values};
    arena_init(&s->arena, NULL, 0, ARENA_LIMIT);
    ASSERT(program->count <= OPTIONS_MAX);
    for (size_t i = 0; i < program->count && err == 0; i++) err = option_add(s, &program->table[i]);
    ASSERT(err == 0 || err == -ENOMEM);
    return err;
}

void option_set_end(struct option_set *s)
{
    arena_end(&s->arena);
}

void option_set_copy(struct option_set *to, const struct option_set *from, void *values)
{
    *to = *from;
    to->values = values;
    arena_init(&to->arena, NULL, 0, ARENA_LIMIT);
}

static bool is_valid_name(slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c != '-' || i == 0))
            return false;
    }
    return name.len > 0 && name.len <= OPTION_NAME_MAX;
}

int option_add(struct option_set *s, const struct option *o)
{
    bool negated;
    slice name = slice_str(o->name);
    if (!is_valid_name(name)) return -EINVAL;
    if (option_find(s, name, &negated)) return -EEXIST;
    if (s->count == OPTIONS_MAX) return -ENOMEM;
    struct option *added = &s->list[s->count++];
    *added = *o;
    s->level = LEVEL_DEFAULT;
    return added->value ? store_value(s, added, added->value, false) : 0;
}

enum option_level option_level(struct option_set *s, const char *name)
{
    bool negated;
    const struct option *o = option_find(s, slice_str(name), &negated);
    return o ? o->level : LEVEL_DEFAULT;
}

int option_set_value(struct option_set *s, const char *name, const char *value)
{
    bool negated;
    s->level = LEVEL_PROGRAM;
    struct option *o = option_find(s, slice_str(name), &negated);
    return o ? store_value(s, o, value, negated) : option_fail_unknown(s, slice_str(name));
}

/* ---- the command line ---- */

/* Reads the option at argv[*i] and its value, if any, and moves *i past them. Sets *o to NULL where
 * the argument is not an option. */
static int read_argument(struct option_set *s, int argc, char **argv, int *i, struct option **o,
                         const char **value, bool *negated)
{
    const char *arg = argv[(*i)++];
    slice rest = slice_str(arg), name, whole;
    *o = NULL;
    size_t dashes = strspn(arg, "-");
    if (dashes == 0 || dashes == rest.len) return 0;
    if (dashes > 2) dashes = 2;
    slice_cut(&rest, '=', &whole);
    name = slice_skip(whole, dashes);
    if (slice_eq(whole, SLICE("-h"))) {
        name = SLICE("help");
        dashes = 2;
    }
    if (dashes == 2) *o = option_find(s, name, negated);
    if (!*o) return option_fail_unknown(s, whole);
    *value = rest.ptr;
    if (*value || option_is_flag(*o)) return 0;
    /* The next argument is the value unless it begins with "--"; such a value can follow '='. */
    if (*i < argc && strncmp(argv[*i], "--", 2) != 0) *value = argv[(*i)++];
    return *value ? 0 : option_not_valid(s, *o, NULL);
}

int option_read_command(struct option_set *s, int argc, char **argv, bool first_pass)
{
    int err = 0;
    bool ended = false; /* "--" has come: the rest are arguments */
    s->level = LEVEL_COMMAND;
    for (int i = 1; i < argc && err == 0;) {
        struct option *o;
        const char *arg = argv[i], *value = NULL;
        bool negated = false;
        if (ended) {
            if (first_pass) err = s->program->argument(s, arg);
            i++;
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            ended = true;
            i++;
            continue;
        }
        err = read_argument(s, argc, argv, &i, &o, &value, &negated);
        if (err) break;
        if (o && o->command == first_pass) err = store_value(s, o, value, negated);
        if (!o && first_pass) err = s->program->argument(s, arg);
    }
    return err;
}

/* ---- the config file ---- */

static int read_line(struct option_set *s, char *line)
{
    bool negated;
    slice name;
    char *value;
    const char *wrong = config_line_split(line, &name, &value);
    if (wrong) return option_fail(s, "%s", wrong);
    if (!value && name.len == 0) return 0;
    if (*name.ptr == '[')
        return option_fail(s, "a config file has no [sections], only lines of \"name = value\"");
    if (!value)
        return option_fail(s, "expected \"name = value\", not \"%.*s%s\"", option_tellable(name),
                           name.ptr, (size_t)option_tellable(name) < name.len ? "..." : "");
    struct option *o = option_find(s, name, &negated);
    if (!o) return option_fail_unknown(s, name);
    if (o->command) return option_fail(s, "%s can only be given on the command line", o->name);
    if (o->level == LEVEL_CONFIG && !o->repeats)
        return option_fail(s, "%s is given already, on line %u", o->name, o->line);
    return store_value(s, o, value, negated);
}

/* `text` has room for a NUL after its `size` bytes. */
static int read_lines(struct option_set *s, char *text, size_t size)
{
    static const slice bom = SLICE("\xef\xbb\xbf"); /* the byte order mark, of some editors */
    char *end = text + size, *next;
    for (char *line = text; line < end; line = next + 1) {
        next = memchr(line, '\n', (size_t)(end - line));
        if (!next) next = end;
        if (s->line++ == 0 && slice_starts(slice_of(line, (size_t)(next - line)), bom)) line += 3;
        if (size > OPTION_FILE_MAX && next - text >= OPTION_FILE_MAX)
            return option_fail(s, "a config file may have at most %d bytes", OPTION_FILE_MAX);
        if (memchr(line, '\0', (size_t)(next - line)))
            return option_fail(s, "a line may have no NUL");
        *next = '\0';
        if (next > line && next[-1] == '\r') next[-1] = '\0';
        int err = read_line(s, line);
        if (err) return err;
    }
    return 0;
}

static int read_file(struct option_set *s, FILE *in, const char *path)
{
    const size_t most = OPTION_FILE_MAX + 1; /* one is enough to tell that there are too many */
    char *text = malloc(most + 1);
    if (!text) return option_no_memory(s);
    size_t size = fread(text, 1, most, in);
    int err = errno, result = 0;
    s->level = LEVEL_CONFIG;
    s->file = path;
    s->line = 0;
    if (!ferror(in)) result = read_lines(s, text, size);
    s->file = NULL;
    if (ferror(in))
        result = option_fail(s, "cannot read config file %.200s: %s", path, strerror(err));
    free(text);
    return result;
}

int option_read_config(struct option_set *s, const char *path)
{
    FILE *in = fopen(path, "re");
    if (!in) return option_fail(s, "cannot read config file %.200s: %s", path, strerror(errno));
    int err = read_file(s, in, path);
    fclose(in);
    return err;
}
