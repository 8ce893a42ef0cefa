/* The engines in this build, and the choice between them. */

#include "io/engine.h"
#include "io/local.h"
#include "io/sock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *const io_feature_names[IO_FEATURES] = {
    [IO_SINGLE_ISSUER] = "single-issuer",
    [IO_DEFER_TASKRUN] = "defer-taskrun",
    [IO_COOP_TASKRUN] = "coop-taskrun",
    [IO_NO_SQARRAY] = "no-sqarray",
    [IO_SUBMIT_ALL] = "submit-all",
    [IO_RING_FD] = "ring-fd",
    [IO_BUF_RING] = "buf-ring",
    [IO_MULTISHOT] = "multishot",
    [IO_DIRECT] = "direct",
    [IO_IOWQ_CAP] = "iowq-cap",
    [IO_RESTRICT] = "restrict",
};

const struct io_engine *const io_engines[] = {
#ifdef TORC_IO_URING
    &io_uring_engine,
#endif
#ifdef TORC_IO_EPOLL
    &io_epoll_engine,
#endif
    &io_threads_engine,
    NULL,
};

const struct io_engine *io_engine_find(const char *name)
{
    for (const struct io_engine *const *e = io_engines; *e; e++)
        if (strcmp((*e)->name, name) == 0) return *e;
    return NULL;
}

bool io_engine_known(const char *name)
{
    return strcmp(name, "io_uring") == 0 || strcmp(name, "epoll") == 0 ||
           strcmp(name, "threads") == 0;
}

const char *io_engine_name(const struct io_engine *e)
{
    return e->name;
}

bool io_engine_has_ring(const struct io_engine *e)
{
    return e->has_ring;
}

bool io_holds_thread(const struct io_engine *e)
{
    return e->holds_thread;
}

/* ---- choosing ---- */

int io_probe(const struct io_engine *e, struct io_config *config, char *why, size_t size)
{
    if (config->ordinary) config->features &= ~(1u << IO_DIRECT);
    return e->probe(config, why, size);
}

void io_explain(const struct io *io, int err, char *why, size_t size)
{
    const struct io_refusal *r = &io->refused;
    if (io->engine->explain)
        io->engine->explain(r, err, why, size);
    else if (err == -ENOMEM)
        snprintf(why, size, "no memory%s", r->limit);
    else
        snprintf(why, size, "%s failed: %s", r->call, strerror(-err));
}

const char *io_wait_call(const struct io_engine *e)
{
    return e->wait_call;
}

/* What the engine lacks of the configuration. */
static void report_fitting(const struct io_engine *e, const char *missing,
                           const struct io_config *wanted, const struct io_config *fitted,
                           void (*report)(void *arg, const char *line), void *arg)
{
    char line[640];
    snprintf(line, sizeof line, "this kernel's %s lacks %s; continuing without", e->name, missing);
    if (missing[0]) report(arg, line);
    snprintf(line, sizeof line,
             "rings have a depth of %u in place of %u (--depth): there is no memory for more%s",
             fitted->depth, wanted->depth, fitted->scarce ? fitted->scarce : "");
    if (fitted->depth < wanted->depth) report(arg, line);
}

/* The first from `e` on that is wanted; NULL if there is none. */
static const struct io_engine *wanted(const struct io_engine *const *e, const char *name)
{
    for (; *e; e++)
        if (name ? strcmp((*e)->name, name) == 0 : !(*e)->holds_thread) return *e;
    return NULL;
}

const struct io_engine *io_choose(const char *name, struct io_config *config,
                                  void (*report)(void *arg, const char *line), void *arg, int *err)
{
    char why[512], line[640];
    *err = -ENOSYS;
    for (const struct io_engine *const *e = io_engines; *e; e++) {
        struct io_config fitted = *config;
        if (wanted(e, name) != *e) continue;
        *err = io_probe(*e, &fitted, why, sizeof why);
        if (*err == 0) {
            report_fitting(*e, why, config, &fitted, report, arg);
            *config = fitted;
            return *e;
        }
        const struct io_engine *next = wanted(e + 1, name);
        snprintf(line, sizeof line, "engine %s: %s%s%s", (*e)->name, why,
                 next ? "; continuing on " : "", next ? next->name : "");
        report(arg, line);
    }
    return NULL;
}

/* The table of direct descriptors is no larger than the descriptor limit, and a connection that
 * does not fit is dropped rather than left in the queue. */
uint64_t io_max_sockets(const struct io_config *config, uint64_t descriptors)
{
    return config->features & 1u << IO_DIRECT ? descriptors : UINT64_MAX;
}

int io_listen(const struct io_engine *e, struct sock_addr *addr, int backlog)
{
    bool blocking = e->blocking_listener;
    return addr->path ? local_listen(addr, backlog, blocking)
                      : sock_listen(addr, backlog, blocking);
}
