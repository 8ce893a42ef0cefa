#include "serve/options.h"

#include "base/value.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    SPARE_DESCRIPTORS = 64, /* for listeners, files, the log */
    CONNECTIONS_MAX = 1000000,
};

/* A set with what it fills in. */
struct server_options {
    struct option_set set; /* first: it is known by this alone */
    struct options values;
    char engines[128]; /* the help of --engine, which ends with those built in */
};

/* ---- options that are more than a number or a text ---- */

static int take_engine(struct option_set *s, const struct option *o, const char *text)
{
    const struct io_engine *engine = io_engine_find(text);
    if (!engine && io_engine_known(text))
        return option_fail(s, "%s%s takes %s: %s is not built in", option_dashes(s), o->name,
                           o->what, text);
    if (!engine) return option_not_valid(s, o, text);
    options_get(s)->engine = io_engine_name(engine);
    return 0;
}

static int take_cores(struct option_set *s, const struct option *o, const char *text)
{
    uint16_t list[CPUS_MAX];
    char why[80];
    struct options *to = options_get(s);
    int n = cpus_parse(text, list, why, sizeof why);
    if (n == 0) return option_not_valid(s, o, text);
    if (n < 0) return option_fail(s, "%s%s %.60s: %s", option_dashes(s), o->name, text, why);
    to->n_cpus = (uint32_t)n;
    memcpy(to->cpu, list, (size_t)n * sizeof *list);
    return 0;
}

static int take_listen(struct option_set *s, const struct option *o, const char *text)
{
    struct sock_addr addr;
    struct options *to = options_get(s);
    if (!sock_addr_parse(text, &addr)) return option_not_valid(s, o, text);
    if (o->level < s->level) to->n_listen = 0; /* those of a lower level are replaced */
    if (to->n_listen == LISTEN_MAX)
        return option_fail(s, "%s%s can be given at most %d times", option_dashes(s), o->name,
                           LISTEN_MAX);
    to->listen[to->n_listen++] = addr;
    return 0;
}

static int take_admin(struct option_set *s, const struct option *o, const char *text)
{
    struct options *to = options_get(s);
    if (!sock_addr_parse(text, &to->admin)) return option_not_valid(s, o, text);
    to->has_admin = true;
    return 0;
}

static int take_log_format(struct option_set *s, const struct option *o, const char *text)
{
    bool json = strcmp(text, "json") == 0;
    if (!json && strcmp(text, "combined") != 0) return option_not_valid(s, o, text);
    options_get(s)->access_log_format = json ? LOG_JSON : LOG_COMBINED;
    return 0;
}

static int take_feature(struct option_set *s, const struct option *o, const char *text)
{
    uint32_t bit = 1u << o->min, *features = &options_get(s)->io.features;
    bool on = (text[0] == 'y') != (bool)o->max;
    *features = on ? *features | bit : *features & ~bit;
    return 0;
}

static int round_buffers(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    uint32_t *n = &options_get(s)->io.buffers;
    while (*n & (*n - 1)) *n += *n & -*n;
    return 0;
}

static int set_both_kinds(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    options_get(s)->io.iowq_unbounded = options_get(s)->io.iowq_bounded;
    return 0;
}

/* 0 follows the descriptor limit. */
static int fit_sockets(struct option_set *s, const struct option *o, const char *text)
{
    (void)o, (void)text;
    struct options *to = options_get(s);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) limit = (struct rlimit){1024, 1024};
    uint64_t n = to->limits.max_conns, soft = limit.rlim_cur;
    if (n == 0) n = soft > 2 * SPARE_DESCRIPTORS ? soft - SPARE_DESCRIPTORS : soft / 2 + 1;
    if (n > CONNECTIONS_MAX) n = CONNECTIONS_MAX;
    to->limits.max_conns = (uint32_t)n;
    to->io.max_sockets = (uint32_t)(n < limit.rlim_max ? n : limit.rlim_max);
    return 0;
}

static int take_own_flag(struct option_set *s, const struct option *o, const char *text)
{
    (void)s;
    *(const char **)o->to = text;
    return 0;
}

/* ---- the table ---- */

enum group {
    GROUP_SERVE,
    GROUP_ENGINE,
    GROUP_RING,
    GROUP_LIMITS,
    GROUP_FILES,
    GROUP_OTHER,
    GROUP_OWN, /* of the program's own */
};

static const char *const titles[] = {
    [GROUP_SERVE] = "Serving",
    [GROUP_ENGINE] = "Engine and cores",
    [GROUP_RING] = "Features of the io_uring engine, each of which can be switched off",
    [GROUP_LIMITS] = "Limits",
    [GROUP_FILES] = "Files and access log",
    [GROUP_OTHER] = "Other",
    [GROUP_OWN] = NULL,
};

#define AT(field)                                                                                  \
    .at = offsetof(struct options, field), .size = sizeof(((struct options *)0)->field)
#define DAY (24 * 3600 * NS_PER_S)
#define K   (UINT64_C(1) << 10)
#define M   (UINT64_C(1) << 20)
#define G   (UINT64_C(1) << 30)

static const struct option table[] = {
    {"listen", "ADDR:PORT", "where clients connect; can be given several times; port 0 picks one",
     "127.0.0.1:8080", GROUP_SERVE, OPTION_CUSTOM, .then = take_listen,
     .what = "ADDR:PORT, such as 127.0.0.1:8080, [::1]:8080 or *:80"},
    {"root", "DIR", "the directory of static files", NULL, GROUP_SERVE, OPTION_TEXT, AT(root),
     .what = "a directory"},
    {"admin", "ADDR:PORT", "where health, metrics and statistics are served", NULL, GROUP_SERVE,
     OPTION_CUSTOM, .then = take_admin, .what = "ADDR:PORT, such as 127.0.0.1:8081"},
    {"backlog", "N", "connections of a core that wait to be accepted", "4096", GROUP_SERVE,
     OPTION_NUMBER, AT(backlog), 1, 65535},
    {"drain-timeout", "TIME", "what requests in flight are given to finish on SIGTERM", "10s",
     GROUP_SERVE, OPTION_DURATION, AT(drain_timeout), 0, DAY},

    {"engine", "NAME", NULL, NULL, GROUP_ENGINE, OPTION_CUSTOM, .then = take_engine,
     .shown = "the best that works"},
    {"cores", "N|LIST",
     "how many CPUs, or which: 4 is the first four that this process may use; 0-3,8 are numbers "
     "of CPUs, and 0-0 is CPU 0 alone",
     "all", GROUP_ENGINE, OPTION_CUSTOM, .then = take_cores,
     .what = "how many CPUs (4), which (0-3,8; 0-0 is CPU 0 alone), or all"},
    {"pin", NULL, "each core's thread stays on its CPU", "yes", GROUP_ENGINE, OPTION_FLAG, AT(pin)},
    {"depth", "N", "submission queue entries of a ring", "512", GROUP_ENGINE, OPTION_NUMBER,
     AT(io.depth), 1, 32768},
    {"cq-depth", "N", "completion queue entries of a ring; 0: 8 times --depth, at least 4096", "0",
     GROUP_ENGINE, OPTION_NUMBER, AT(io.cq_depth), 0, 65536},
    {"buffers", "N", "receive buffers of a core, rounded up to a power of two", "1024",
     GROUP_ENGINE, OPTION_NUMBER, AT(io.buffers), 1, 32768, .then = round_buffers},
    {"buffer-size", "SIZE", "bytes of a receive buffer", "4k", GROUP_ENGINE, OPTION_SIZE,
     AT(io.buffer_size), 64, M},
    {"iowq-workers", "N", "kernel worker threads of a ring at most, of either kind", "4",
     GROUP_ENGINE, OPTION_NUMBER, AT(io.iowq_bounded), 1, 1024, .then = set_both_kinds},

    {"max-connections", "N", "connections of a core; 0: the descriptor limit less 64", "0",
     GROUP_LIMITS, OPTION_NUMBER, AT(limits.max_conns), 0, CONNECTIONS_MAX, .then = fit_sockets},
    {"max-requests", "N", "requests in progress on a core", "16384", GROUP_LIMITS, OPTION_NUMBER,
     AT(limits.max_requests), 1, 1000000},
    {"header-timeout", "TIME", "from a head's first byte to its last", "10s", GROUP_LIMITS,
     OPTION_DURATION, AT(limits.header_timeout), NS_PER_MS, DAY},
    {"idle-timeout", "TIME", "of a connection between requests", "60s", GROUP_LIMITS,
     OPTION_DURATION, AT(limits.idle_timeout), NS_PER_MS, DAY},
    {"body-timeout", "TIME", "between two pieces of a body that is waited for", "30s", GROUP_LIMITS,
     OPTION_DURATION, AT(limits.body_timeout), NS_PER_MS, DAY},
    {"write-timeout", "TIME", "for a response that the client does not take", "30s", GROUP_LIMITS,
     OPTION_DURATION, AT(limits.write_timeout), NS_PER_MS, DAY},
    {"max-body", "SIZE", "of a request's body", "64m", GROUP_LIMITS, OPTION_SIZE,
     AT(limits.max_body), 0, 1024 * G},
    {"request-memory", "SIZE", "memory of a request at most", "1m", GROUP_LIMITS, OPTION_SIZE,
     AT(limits.request_memory), 4 * K, 4 * G},
    {"write-buffer", "SIZE", "unsent bytes of a response at which its handler waits", "256k",
     GROUP_LIMITS, OPTION_SIZE, AT(limits.write_buffer), 4 * K, G},
    {"read-buffer", "SIZE", "bytes kept for a handler that does not read yet", "64k", GROUP_LIMITS,
     OPTION_SIZE, AT(limits.read_buffer), 4 * K, G},
    {"stack-size", "SIZE", "stack of a handler, rounded up to pages", "64k", GROUP_LIMITS,
     OPTION_SIZE, AT(limits.stack_size), 16 * K, 64 * M},

    {"file-cache", "N", "files that a core keeps open", "512", GROUP_FILES, OPTION_NUMBER,
     AT(file_cache), 1, 1000000},
    {"file-cache-ttl", "TIME",
     "how long an open file is trusted to be the one of its name; 0: not "
     "at all",
     "1s", GROUP_FILES, OPTION_DURATION, AT(file_cache_ttl), 0, NS_PER_S},
    {"access-log", "FILE", "one line for each request; - is stdout", NULL, GROUP_FILES, OPTION_TEXT,
     AT(access_log), .what = "a file name, or - for stdout"},
    {"access-log-format", "FORMAT", "combined, or json, where a byte that is not UTF-8 is \\uf0XX",
     "combined", GROUP_FILES, OPTION_CUSTOM, .then = take_log_format, .what = "combined or json"},

    {"config", "FILE", "read options from a file; those of the command line win", NULL, GROUP_OTHER,
     OPTION_TEXT, AT(config), .what = "a file name", .command = true},
    {"check", NULL, "look at the options and the kernel, then exit", "no", GROUP_OTHER, OPTION_FLAG,
     AT(check), .command = true},
    {"json", NULL, "print what --check finds as JSON", "no", GROUP_OTHER, OPTION_FLAG, AT(json),
     .command = true},
    {"version", NULL, "print the version and exit", "no", GROUP_OTHER, OPTION_FLAG, AT(version),
     .command = true},
    {"help", NULL, "print this and exit; -h too", "no", GROUP_OTHER, OPTION_FLAG, AT(help),
     .command = true},
};

static const char *const feature_help[IO_FEATURES] = {
    [IO_SINGLE_ISSUER] = "only the core's thread submits to its ring",
    [IO_DEFER_TASKRUN] = "completion work runs when the core waits; needs single-issuer",
    [IO_COOP_TASKRUN] = "no interrupts for completion work, where defer-taskrun is off",
    [IO_NO_SQARRAY] =
        "the submission queue has an index array, as before Linux 6.6; yes costs an indirection",
    [IO_SUBMIT_ALL] = "an entry that fails does not hold up those after it",
    [IO_RING_FD] = "the ring's descriptor is registered with the kernel",
    [IO_BUF_RING] = "the kernel picks receive buffers from a ring",
    [IO_MULTISHOT] = "one accept and one recv bring many completions",
    [IO_DIRECT] = "sockets live in the ring's own table",
    [IO_IOWQ_CAP] = "--iowq-workers applies",
    [IO_RESTRICT] = "the ring does only what torc needs",
};

static int argument(struct option_set *s, const char *text)
{
    struct stat st;
    if (stat(text, &st) == 0 && S_ISDIR(st.st_mode))
        return option_fail(s, "a directory is served with --root %.200s", text);
    return option_fail(s, "argument \"%.60s\" is not an option (see --help)", text);
}

static const struct option_program server = {
    .table = table,
    .count = ARRAY_LEN(table),
    .groups = titles,
    .n_groups = ARRAY_LEN(titles),
    .usage = "[OPTION]...",
    .notes = "A SIZE is in bytes or has k, m or g after it (binary). A TIME has its unit: ms, s, m "
             "or h.\nThe config file has a line \"name = value\" for each option, yes or no for "
             "a flag, and # for comments.\n",
    .argument = argument,
};

/* ---- a set ---- */

static int add_feature(struct option_set *s, unsigned f)
{
    /* A feature named "no-..." is on where what its flag names is off. */
    bool inverted = slice_starts(slice_str(io_feature_names[f]), SLICE("no-"));
    return option_add(s, &(struct option){
                             .name = io_feature_names[f] + (inverted ? 3 : 0),
                             .help = feature_help[f],
                             .value = inverted ? "no" : "yes",
                             .group = GROUP_RING,
                             .kind = OPTION_CUSTOM,
                             .then = take_feature,
                             .min = f,
                             .max = inverted,
                         });
}

/* What --engine takes is known once it is built. */
static void name_engines(struct server_options *own)
{
    static const char lead[] = "how to talk to the kernel: ";
    size_t n = (size_t)snprintf(own->engines, sizeof own->engines, "%sone of ", lead);
    for (const struct io_engine *const *e = io_engines; *e; e++)
        n += (size_t)snprintf(own->engines + n, sizeof own->engines - n, "%s%s", io_engine_name(*e),
                              e[1] ? ", " : "");
    ASSERT(n < sizeof own->engines);
    for (size_t i = 0; i < own->set.count; i++) {
        struct option *o = &own->set.list[i];
        if (o->then != take_engine) continue;
        o->help = own->engines;
        o->what = own->engines + sizeof lead - 1;
    }
}

struct option_set *options_new(void)
{
    struct server_options *own = calloc(1, sizeof *own);
    if (!own) return NULL;
    option_set_init(&own->set, &server, &own->values);
    for (unsigned f = 0; f < IO_FEATURES; f++) {
        int err = add_feature(&own->set, f);
        ASSERT(err == 0);
    }
    name_engines(own);
    return &own->set;
}

void options_free(struct option_set *s)
{
    if (!s) return;
    option_set_end(s);
    free(s);
}

int options_add(struct option_set *s, const char *name, const char *takes, const char *help,
                const char **value)
{
    struct option o = {
        .name = option_keep(s, name),
        .takes = takes ? option_keep(s, takes) : NULL,
        .help = option_keep(s, help ? help : ""),
        .group = GROUP_OWN,
        .kind = takes ? OPTION_TEXT : OPTION_CUSTOM,
        .then = takes ? NULL : take_own_flag,
        .to = value,
    };
    if (!o.name || !o.help || (takes && !o.takes)) return -ENOMEM;
    int err = option_add(s, &o);
    if (err == 0) *value = NULL;
    return err;
}

static int check_root(struct option_set *s)
{
    struct stat st;
    const char *root = options_get(s)->root;
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
    const struct options *o = options_get(s);
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
    struct options *o = options_get(s);
    int err = option_read_command(s, argc, argv, true);
    if (err < 0 || o->help || o->version) return err;
    if (o->json && !o->check) return option_fail(s, "--json needs --check");
    if (o->config) err = option_read_config(s, o->config);
    if (err == 0) err = option_read_command(s, argc, argv, false);
    if (err == 0) err = check_root(s);
    return err < 0 ? err : check_addresses(s);
}
