#include "serve/needs.h"

#include "base/log.h"
#include "http/visitor.h"
#include "serve/admin.h"
#include "serve/connections.h"
#include "serve/effect.h"
#include "serve/mount.h"
#include "serve/overflow.h"
#include "serve/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- options ---- */

/* It is read with the command line, of which a reload needs a copy. */
static bool config_is_unread(const struct torc_server *s)
{
    return s->options->config && !s->has_read;
}

int needs_options(struct torc_server *s)
{
    s->used = s->now = options_copy(s->set);
    if (!s->used) return server_fail(s, -ENOMEM, "out of memory");
    s->options = options_get(s->used);
    int err = config_is_unread(s) ? option_fail(s->used, "config is set, but torc_server_parse, "
                                                         "which reads it, was not called")
                                  : options_settle(s->used);
    if (err == -EINVAL) s->status = EXIT_OPTIONS;
    return err < 0 ? server_fail(s, err, "%s", options_error(s->used)) : 0;
}

void needs_forget(struct torc_server *s)
{
    reload_end(s);
    options_free(s->used);
    router_free(s->admin_router);
    measures_end(&s->measures);
    s->used = s->now = NULL;
    s->options = NULL;
    s->admin_router = NULL;
}

/* ---- the engine ---- */

/* Whether the descriptor limit, which a ring's table of sockets may not exceed, has room for it. */
static bool table_fits(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > ACCEPTOR_SPARE;
}

static bool serves_files_only(const struct torc_server *s)
{
    return s->serves_root && !s->has_handlers;
}

/* Whether somebody may ask for the address of a client: a handler, the log, a limit of today or of
 * a later config file. */
static bool wants_peers(const struct torc_server *s)
{
    const struct options *o = s->options;
    return !serves_files_only(s) || o->config || o->access_log || o->limits.proxies.trusted.n ||
           http_limits_clients(&o->limits);
}

/* The last one is the error where no engine is left: it is kept until that is known. */
static void note_line(void *arg, const char *line)
{
    char **last = arg;
    if (*last) log_line("%s", *last);
    free(*last);
    *last = strdup(line);
}

int needs_engine(struct torc_server *s)
{
    struct options *o = s->options;
    char *line = NULL;
    int err;
    options_divide(o);
    o->io.ordinary = !table_fits() || o->limits.sendfile_from;
    o->io.peers = wants_peers(s);
    o->io.rings = o->n_cpus + o->has_admin;
    s->engine = io_choose(o->engine, &o->io, note_line, &line, &err);
    if (!s->engine) {
        s->status = EXIT_ENGINE;
        server_fail(s, err, "%s", line ? line : strerror(-err));
    } else if (line) {
        log_line("%s", line);
    }
    free(line);
    if (!s->engine) return err;
    if (o->io.walk && (o->root || mounts_own(s)))
        log_line(
            "openat2 is not permitted, as by a seccomp profile or RestrictSUIDSGID= of systemd; "
            "static files are opened step by step instead, which takes longer");
    s->n_cores = io_holds_thread(s->engine) ? o->threads : o->n_cpus;
    effect_log(s->used, s->engine);
    connections_begin(s);
    return 0;
}

/* ---- files, jobs, the admin side ---- */

/* Threads that serve one connection each share what --file-cache gives each CPU. */
static uint32_t files_per_core(const struct torc_server *s)
{
    const struct options *o = s->options;
    if (!io_holds_thread(s->engine)) return o->file_cache;
    uint32_t share = o->file_cache * o->n_cpus / s->n_cores;
    return share ? share : 1;
}

static int open_files(struct torc_server *s)
{
    const struct options *o = s->options;
    struct file_cache_limits limits = {files_per_core(s), o->file_cache_ttl};
    char why[512];
    if (!o->root && serves_files_only(s))
        log_line("no --root given: every request will be answered with 404");
    int err = mounts_check(s);
    if (err < 0) return err;
    s->files = static_open(&limits, s->n_cores);
    if (!s->files)
        return server_fail(s, -ENOMEM, "no memory for the cache of open files (--file-cache)");
    if (!o->access_log) return 0;
    s->log = access_log_open(o->access_log, o->access_log_format, s->n_cores, ACCESS_FLUSH_MS, why,
                             sizeof why);
    return s->log ? 0 : server_fail(s, -errno, "%s", why);
}

void needs_flush_log(struct torc_server *s)
{
    if (s->log) access_log_flush(s->log);
}

bool needs_close_files(struct torc_server *s)
{
    bool closed = !s->log || access_log_close(s->log);
    if (s->files) static_close(s->files);
    s->log = NULL;
    s->files = NULL;
    return closed;
}

static void begin_work(void)
{
    overflow_begin(NULL);
}

static int open_pool(struct torc_server *s)
{
    const struct options *o = s->options;
    s->pool = offload_new(options_work_threads(o), o->work_queue);
    if (!s->pool) return server_fail(s, -ENOMEM, "out of memory");
    offload_set_hooks(s->pool, begin_work, overflow_end);
    /* A thread that a core starts shares the core's descriptors, if it has a table of its own. */
    if (!o->private_descriptors) return 0;
    uint32_t n = offload_start_all(s->pool);
    if (n < options_work_threads(o))
        log_line("started %u of %u work threads (--work-threads); with --private-descriptors the "
                 "others cannot start later",
                 n, options_work_threads(o));
    return 0;
}

/* Threads of their own: those of the other pool may all wait for reads from a disk that hangs. */
static int open_openers(struct torc_server *s)
{
    enum { OPENERS = 4 };
    if (s->options->private_descriptors) return 0; /* what they open, a core would not see */
    s->openers = offload_new(OPENERS, UINT32_MAX); /* --max-requests bounds them */
    if (!s->openers) return server_fail(s, -ENOMEM, "out of memory");
    offload_set_name(s->openers, "torc-open", "torc-open, of");
    offload_set_hooks(s->openers, begin_work, overflow_end);
    return 0;
}

bool needs_close_pool(struct torc_server *s, uint64_t deadline)
{
    struct offload **pools[] = {&s->pool, &s->openers};
    for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
        if (*pools[i] && !offload_stop(*pools[i], deadline)) return false;
        offload_free(*pools[i]);
        *pools[i] = NULL;
    }
    return true;
}

static int open_admin(struct torc_server *s)
{
    if (!s->options->has_admin || (s->admin_router = admin_routes(s))) return 0;
    return server_fail(s, -ENOMEM, "out of memory");
}

int needs_write_addresses(struct torc_server *s, address_text **out)
{
    const struct options *o = s->options;
    address_text *a = *out = calloc(o->n_listen + 1, sizeof *a);
    if (!a) return server_fail(s, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < o->n_listen; i++) sock_addr_format(&o->listen[i], a[i]);
    if (o->has_admin) sock_addr_format(&o->admin, a[o->n_listen]);
    return 0;
}

int needs_open(struct torc_server *s)
{
    int err = open_files(s);
    if (err == 0) err = open_admin(s);
    if (err == 0) err = open_pool(s);
    return err == 0 ? open_openers(s) : err;
}
