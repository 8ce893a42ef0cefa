#include "base/value.h"
#include "serve/option.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    SPARE_DESCRIPTORS = 64, /* for listeners, files, the log */
    CONNECTIONS_MAX = 1000000,
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
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?'; /* a value may hold anything */
    return -EINVAL;
}

static void describe(const struct option_set *s, const struct option *o, char *out, size_t size)
{
    char min[VALUE_TEXT], max[VALUE_TEXT];
    switch (o->kind) {
    case OPT_FLAG:
    case OPT_FEATURE:
    case OPT_OWN_FLAG: snprintf(out, size, "yes or no"); break;
    case OPT_NUMBER:
    case OPT_BUFFERS:
    case OPT_IOWQ:
    case OPT_CONNECTIONS:
        snprintf(out, size, "a number from %" PRIu64 " to %" PRIu64, o->min, o->max);
        break;
    case OPT_SIZE:
        value_size_text(o->min, min);
        value_size_text(o->max, max);
        snprintf(out, size, "a size from %s to %s, such as 4096, 16k or 1m", min, max);
        break;
    case OPT_DURATION:
        value_duration_text(o->min, min);
        value_duration_text(o->max, max);
        snprintf(out, size, "a time from %s to %s with its unit, such as 500ms, 10s or 2m", min,
                 max);
        break;
    case OPT_ENGINE: snprintf(out, size, "one of %s", s->engines); break;
    default: snprintf(out, size, "%s", o->what ? o->what : o->takes);
    }
}

int option_not_valid(struct option_set *s, const struct option *o, const char *text)
{
    char what[160];
    describe(s, o, what, sizeof what);
    if (!text)
        return option_fail(s, "%s%s takes %s, and none is given", option_dashes(s), o->name, what);
    return option_fail(s, "%s%s takes %s, not \"%.60s%s\"", option_dashes(s), o->name, what, text,
                       strlen(text) > 60 ? "..." : "");
}

/* ---- taking a value ---- */

const char *option_keep(struct option_set *s, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc_aligned(&s->arena, size, 1);
    return copy ? memcpy(copy, text, size) : NULL;
}

static int take_text(struct option_set *s, const char **to, const char *text)
{
    const char *copy = option_keep(s, text);
    if (!copy) return option_fail(s, "out of memory");
    *to = copy;
    return 0;
}

static void store(struct option_set *s, const struct option *o, uint64_t v)
{
    char *at = (char *)&s->options + o->at;
    uint32_t narrow = (uint32_t)v;
    ASSERT(o->size == sizeof v || o->size == sizeof narrow);
    memcpy(at, o->size == sizeof v ? (void *)&v : (void *)&narrow, o->size);
}

static uint64_t descriptors(bool hard)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
    return hard ? limit.rlim_max : limit.rlim_cur;
}

static int take_connections(struct option_set *s, uint64_t n)
{
    uint64_t soft = descriptors(false), hard = descriptors(true);
    if (n == 0) n = soft > 2 * SPARE_DESCRIPTORS ? soft - SPARE_DESCRIPTORS : soft / 2 + 1;
    if (n > CONNECTIONS_MAX) n = CONNECTIONS_MAX;
    s->options.limits.max_conns = (uint32_t)n;
    s->options.io.max_sockets = (uint32_t)(n < hard ? n : hard);
    return 0;
}

static int take_number(struct option_set *s, const struct option *o, const char *text)
{
    uint64_t v;
    slice t = slice_str(text);
    bool valid = o->kind == OPT_SIZE       ? value_size(t, &v)
                 : o->kind == OPT_DURATION ? value_duration(t, &v)
                                           : slice_u64(t, &v);
    if (!valid || v < o->min || v > o->max) return option_not_valid(s, o, text);
    if (o->kind == OPT_CONNECTIONS) return take_connections(s, v);
    if (o->kind == OPT_BUFFERS)
        while (v & (v - 1)) v += v & -v;
    if (o->kind == OPT_IOWQ) s->options.io.iowq_unbounded = (uint32_t)v;
    store(s, o, v);
    return 0;
}

static int take_flag(struct option_set *s, const struct option *o, const char *text, bool negated)
{
    bool on;
    if (!value_bool(slice_str(text), &on)) return option_not_valid(s, o, text);
    on ^= negated;
    if (o->kind == OPT_OWN_FLAG) {
        *o->own = on ? "yes" : "no";
    } else if (o->kind == OPT_FLAG) {
        *((bool *)&s->options + o->at) = on;
    } else {
        uint32_t bit = 1u << o->min;
        s->options.io.features &= ~bit;
        if (on != (bool)o->max) s->options.io.features |= bit;
    }
    return 0;
}

static int take_engine(struct option_set *s, const struct option *o, const char *text)
{
    const struct io_engine *engine = io_engine_find(text);
    if (engine) {
        s->options.engine = io_engine_name(engine);
        return 0;
    }
    bool known =
        strcmp(text, "io_uring") == 0 || strcmp(text, "epoll") == 0 || strcmp(text, "threads") == 0;
    if (!known) return option_not_valid(s, o, text);
    return option_fail(s, "%s%s takes one of %s: %s is not built in", option_dashes(s), o->name,
                       s->engines, text);
}

static int take_cores(struct option_set *s, const struct option *o, const char *text)
{
    uint16_t list[CPUS_MAX];
    char why[80];
    int n = cpus_parse(text, list, why, sizeof why);
    if (n == 0) return option_not_valid(s, o, text);
    if (n < 0) return option_fail(s, "%s%s %.60s: %s", option_dashes(s), o->name, text, why);
    s->options.n_cpus = (uint32_t)n;
    memcpy(s->options.cpu, list, (size_t)n * sizeof *list);
    return 0;
}

static int take_listen(struct option_set *s, const struct option *o, const char *text)
{
    struct sock_addr addr;
    struct options *to = &s->options;
    if (!sock_addr_parse(text, &addr)) return option_not_valid(s, o, text);
    if (o->level < s->level) to->n_listen = 0; /* those of a lower level are replaced */
    if (to->n_listen == LISTEN_MAX)
        return option_fail(s, "%s%s can be given at most %d times", option_dashes(s), o->name,
                           LISTEN_MAX);
    to->listen[to->n_listen++] = addr;
    return 0;
}

static int take(struct option_set *s, const struct option *o, const char *text, bool negated)
{
    struct options *to = &s->options;
    if (option_is_flag(o)) return take_flag(s, o, text ? text : "yes", negated);
    if (!text || !*text) return option_not_valid(s, o, text);
    switch (o->kind) {
    case OPT_TEXT: return take_text(s, (const char **)((char *)to + o->at), text);
    case OPT_OWN: return take_text(s, o->own, text);
    case OPT_ENGINE: return take_engine(s, o, text);
    case OPT_CORES: return take_cores(s, o, text);
    case OPT_LISTEN: return take_listen(s, o, text);
    case OPT_ADMIN:
        if (!sock_addr_parse(text, &to->admin)) return option_not_valid(s, o, text);
        to->has_admin = true;
        return 0;
    case OPT_LOG_FORMAT:
        if (strcmp(text, "combined") != 0 && strcmp(text, "json") != 0)
            return option_not_valid(s, o, text);
        to->access_log_format = text[0] == 'j' ? LOG_JSON : LOG_COMBINED;
        return 0;
    default: return take_number(s, o, text);
    }
}

int option_set_value(struct option_set *s, struct option *o, const char *text, bool negated)
{
    int err = take(s, o, text, negated);
    if (err == 0) o->level = s->level;
    return err;
}
