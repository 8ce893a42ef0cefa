#include "serve/options.h"

#include "base/log.h"
#include "files/static.h"
#include "http/visitor.h"
#include "serve/inherited.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An option set and the storage that belongs to it. */
struct server_options {
    struct option_set set; /* first, as callers have a pointer to it alone */
    struct options values;
    char engine_help[128];            /* of --engine; ends with the engines that are built in */
    const char *program[OPTIONS_MAX]; /* in a copy: the values of the program's own options */
};

/* ---- options that the table does not have ---- */

/* o->min is the feature; o->max is 1 where the flag has the opposite meaning. */
static int set_feature(struct option_set *s, const struct option *o, const char *text)
{
    uint32_t bit = 1u << o->min, *features = &options_get(s)->io.features;
    bool on = (text[0] == 'y') != (bool)o->max;
    *features = on ? *features | bit : *features & ~bit;
    return 0;
}

static int set_program_flag(struct option_set *s, const struct option *o, const char *text)
{
    (void)s;
    *(const char **)o->to = text;
    return 0;
}

static const char *const feature_help[IO_FEATURES] = {
    [IO_SINGLE_ISSUER] = "submit to a ring only from its core's thread",
    [IO_DEFER_TASKRUN] = "defer completion work until the core waits for it; needs single-issuer",
    [IO_COOP_TASKRUN] = "no interrupts for completion work; takes effect if defer-taskrun is off",
    [IO_NO_SQARRAY] =
        "keep the submission queue's index array, as before Linux 6.6; costs an indirection",
    [IO_SUBMIT_ALL] = "keep submitting after an entry has failed",
    [IO_RING_FD] = "register the ring's descriptor with the kernel",
    [IO_BUF_RING] = "let the kernel pick receive buffers from a ring",
    [IO_MULTISHOT] = "get many completions from one accept or recv",
    [IO_DIRECT] = "keep sockets in the ring's own descriptor table",
    [IO_IOWQ_CAP] = "limit kernel worker threads to --iowq-workers",
    [IO_RESTRICT] = "restrict the ring to the operations that torc uses",
};

/* ---- a set ---- */

static int add_feature(struct option_set *s, unsigned f)
{
    /* A feature named "no-X" has the flag X, which is on when the feature is off. */
    bool inverted = slice_starts(slice_str(io_feature_names[f]), SLICE("no-"));
    return option_add(s, &(struct option){
                             .name = io_feature_names[f] + (inverted ? 3 : 0),
                             .help = feature_help[f],
                             .value = inverted ? "no" : "yes",
                             .group = GROUP_RING,
                             .kind = OPTION_CUSTOM,
                             .then = set_feature,
                             .min = f,
                             .max = inverted,
                         });
}

/* The table cannot list the engines: which ones are built in depends on the build. */
static void describe_engines(struct server_options *so)
{
    static const char prefix[] = "I/O engine: ";
    char *help = so->engine_help;
    const size_t size = sizeof so->engine_help;
    size_t n = (size_t)snprintf(help, size, "%sone of ", prefix);
    for (const struct io_engine *const *e = io_engines; *e; e++)
        n += (size_t)snprintf(help + n, size - n, "%s%s", io_engine_name(*e), e[1] ? ", " : "");
    ASSERT(n < size);
    for (size_t i = 0; i < so->set.count; i++) {
        struct option *o = &so->set.list[i];
        if (strcmp(o->name, "engine") != 0) continue;
        o->help = help;
        o->what = help + sizeof prefix - 1;
    }
}

struct option_set *options_new(void)
{
    struct server_options *so = calloc(1, sizeof *so);
    if (!so) return NULL;
    int err = option_set_init(&so->set, &options_table, &so->values);
    so->values.work_threads = WORK_THREADS_DERIVED;
    so->values.keepalive.user_timeout = USER_TIMEOUT_DERIVED;
    ASSERT(so->set.count + IO_FEATURES <= OPTIONS_MAX);
    for (unsigned f = 0; f < IO_FEATURES && err == 0; f++) err = add_feature(&so->set, f);
    ASSERT(err == 0 || err == -ENOMEM);
    if (err < 0) {
        options_free(&so->set);
        return NULL;
    }
    describe_engines(so);
    return &so->set;
}

struct option_set *options_copy(const struct option_set *s)
{
    const struct server_options *from = (const struct server_options *)s;
    struct server_options *so = malloc(sizeof *so);
    if (!so) return NULL;
    *so = *from;
    option_set_copy(&so->set, s, &so->values);
    for (size_t i = 0; i < so->set.count; i++) {
        struct option *o = &so->set.list[i];
        if (!o->to) continue;
        so->program[i] = *(const char **)o->to;
        o->to = &so->program[i];
    }
    return &so->set;
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
        .group = GROUP_PROGRAM,
        .kind = takes ? OPTION_TEXT : OPTION_CUSTOM,
        .then = takes ? NULL : set_program_flag,
        .to = value,
    };
    if (!o.name || !o.help || (takes && !o.takes)) return -ENOMEM;
    int err = option_add(s, &o);
    if (err == 0) *value = NULL;
    return err;
}

/* Where TCP_USER_TIMEOUT is set, it decides instead of the number of probes (tcp(7)): by default as
 * they would, unless that is later than the system would give up unacknowledged bytes. */
static void derive_user_timeout(struct options *o)
{
    const struct sock_keepalive *k = &o->keepalive;
    uint64_t *t = &o->keepalive.user_timeout,
             least = k->idle ? k->idle + k->interval * k->probes : 120 * NS_PER_S;
    if (*t != USER_TIMEOUT_DERIVED) return;
    if (least > 900 * NS_PER_S) least = 0;
    *t = o->limits.write_timeout > least && least ? o->limits.write_timeout : least;
}

void options_divide(struct options *o)
{
    struct http_limits *l = &o->limits;
    uint64_t n = o->n_cpus, burst = o->rate_burst ? o->rate_burst : o->rate;
    l->conns_per_client = (uint32_t)((l->conns_per_client + n - 1) / n);
    if (!o->rate) return;
    uint64_t interval = o->rate_period * n / o->rate;
    l->rate = client_rate_of(interval ? interval : 1, (burst + n - 1) / n);
}

void options_fit_threads(struct options *o)
{
    if (http_limits_clients(&o->limits))
        log_line("--max-connections-per-client and --rate-limit hold for each thread alone, which "
                 "has one connection");
    if (o->limits.shed)
        log_line("--shed has no effect on the engine threads, which takes up a connection when a "
                 "thread is free: until then it waits in the accept queue");
    o->limits.shed = false;
    o->limits.max_conns = 1; /* of each thread */
}

/* The line of the config file that an option was read from, or 0. */
static unsigned line_of(const struct option_set *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->list[i].name, name) == 0) return s->list[i].line;
    return 0;
}

static int fail_root(struct option_set *s, const char *root, const char *why)
{
    unsigned line = line_of(s, "root");
    if (line == 0) return option_fail(s, "--root takes a directory; %.200s%s", root, why);
    return option_fail(s, "%.200s:%u: root takes a directory; %.200s%s", options_get(s)->config,
                       line, root, why);
}

static int check_root(struct option_set *s)
{
    struct stat st;
    char why[128];
    const char *root = options_get(s)->root;
    if (!root) return 0;
    int err = stat(root, &st) < 0 ? -errno : 0;
    if (err == 0 && !S_ISDIR(st.st_mode)) return fail_root(s, root, " is not one");
    if (err == 0) err = static_check(root);
    if (err == 0) return 0;
    snprintf(why, sizeof why, ": %s", strerror(-err));
    return fail_root(s, root, why);
}

/* Who starts a server with sockets, and names no address, means these. */
static int use_inherited(struct option_set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct option *o = &s->list[i];
        if (strcmp(o->name, "listen") != 0) continue;
        if (o->level != LEVEL_DEFAULT || inherited_count() == 0) return 0;
        options_get(s)->n_listen = 0;
        o->text = "systemd";
        return options_listen_inherited(s, o);
    }
    return 0;
}

static void set_modes(struct options *o)
{
    for (uint32_t i = 0; i < o->n_listen; i++) o->listen[i].mode = (uint16_t)o->socket_mode;
}

static void separate_families(struct options *o)
{
    for (uint32_t i = 0; i < o->n_listen; i++) {
        for (uint32_t j = 0; j < o->n_listen; j++) sock_addr_separate(&o->listen[i], &o->listen[j]);
        if (o->has_admin) sock_addr_separate(&o->listen[i], &o->admin);
        if (o->has_admin) sock_addr_separate(&o->admin, &o->listen[i]);
    }
}

/* With SO_REUSEPORT both listeners could bind one address, and each would get some clients. Of
 * given sockets several may have one address; but no core can wait for one of them twice. */
static bool overlaps(const struct options *o, uint32_t i, uint32_t j)
{
    if (o->given[i] >= 0 && o->given[j] >= 0) return o->given[i] == o->given[j];
    return sock_addr_clash(&o->listen[i], &o->listen[j]);
}

static int check_addresses(struct option_set *s)
{
    const struct options *o = options_get(s);
    char text[SOCK_ADDR_TEXT];
    for (uint32_t i = 0; i < o->n_listen; i++) {
        sock_addr_format(&o->listen[i], text);
        for (uint32_t j = 0; j < i; j++)
            if (overlaps(o, i, j))
                return option_fail(s, "--listen %s overlaps another --listen", text);
        if (o->has_admin && sock_addr_clash(&o->admin, &o->listen[i]))
            return option_fail(s, "--admin needs an address of its own: it overlaps --listen %s",
                               text);
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
    return err == 0 ? option_read_command(s, argc, argv, false) : err;
}

int options_settle(struct option_set *s)
{
    struct options *o = options_get(s);
    int err = use_inherited(s);
    if (err == 0) err = check_root(s);
    if (err < 0) return err;
    options_limit_connections(o);
    set_modes(o);
    if (o->limits.proxies.protocol && !o->limits.proxies.trusted.n)
        return option_fail(s, "--proxy-protocol needs --trust-proxy: who may send its header");
    separate_families(o);
    derive_user_timeout(o);
    return check_addresses(s);
}
