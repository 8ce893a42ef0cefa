/* A program that is a server: its command line, its signals, its exit status. */

#include "base/log.h"
#include "base/stdio.h"
#include "serve/backtrace.h"
#include "serve/life.h"
#include "serve/needs.h"
#include "serve/overflow.h"
#include "serve/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the command line ---- */

/* 1: there is nothing more to do. */
static int read_options(struct torc_server *s, int argc, char **argv)
{
    const struct options *o = options_get(s->set);
    if (reload_prepare(s, argc, argv) < 0) return server_fail(s, -ENOMEM, "out of memory");
    int err = options_read(s->set, argc, argv);
    if (err < 0) return server_fail(s, err, "%s", options_error(s->set));
    if (o->version) {
        printf("%s\n", s->name);
        return server_printed(s);
    }
    if (o->help) {
        options_print_help(s->set, argc > 0 ? argv[0] : "torc", s->about, stdout);
        return server_printed(s);
    }
    return 0;
}

int torc_server_parse(torc_server *s, int argc, char **argv)
{
    if (s->phase != SERVER_SETUP || atomic_exchange(&s->has_read, true))
        return server_fail(s, -EBUSY, "the command line is read once, before the server starts");
    stdio_reserve();
    int err = read_options(s, argc, argv);
    if (err != 0) return err;
    err = needs_options(s);
    needs_forget(s);
    return err;
}

/* ---- signals ---- */

void server_want_backtraces(struct torc_server *s)
{
    if (s->has_signals && !atomic_exchange(&s->backtraces, true)) backtrace_install();
}

static bool take_signals(struct torc_server *s)
{
    if (!signals_watch(&s->signals)) return false;
    overflow_watch();
    s->has_signals = true;
    const struct options *o = options_get(s->used ? s->used : s->set);
    if (o->stall_warn) server_want_backtraces(s);
    return true;
}

static void give_back_signals(struct torc_server *s)
{
    overflow_unwatch();
    s->has_signals = false;
    if (s->phase != SERVER_ABANDONED && atomic_exchange(&s->backtraces, false))
        backtrace_uninstall();
    signals_unwatch(&s->signals);
}

/* ---- running ---- */

static void log_ready(struct torc_server *s)
{
    const struct options *o = s->options;
    for (uint32_t i = 1; i < o->n_listen; i++) log_line("also http://%s", s->addresses[i]);
    if (o->has_admin) log_line("admin http://%s", s->addresses[o->n_listen]);
    if (io_holds_thread(s->engine))
        log_line("threads: %u, with a connection at a time each", s->n_cores);
    log_line("ready http://%s engine=%s cores=%u depth=%u pid=%d", s->addresses[0],
             io_engine_name(s->engine), o->n_cpus, s->cores[0].loop.io.config.depth, (int)getpid());
}

/* 0, 1 after --check, or a negative errno that has been told. */
static int start_and_tell(struct torc_server *s)
{
    int err = torc_server_start(s);
    if (err < 0 && s->status) log_line("%s", s->error);
    return err;
}

static int run(struct torc_server *s)
{
    int err = s->phase == SERVER_SETUP ? start_and_tell(s) : 0;
    if (err > 0) return 0;
    if (err < 0) return s->status;
    if (s->has_started && s->phase < SERVER_ENDED) log_ready(s);
    return torc_server_join(s);
}

int torc_server_run(torc_server *s)
{
    int refused = life_awaitable(s);
    if (refused) return refused;
    if (s->phase == SERVER_STARTING || atomic_exchange(&s->has_run, true)) return -EBUSY;
    if (!take_signals(s)) {
        log_line("too many servers run in this process");
        return EXIT_START;
    }
    int status = run(s);
    give_back_signals(s);
    return status;
}

int torc_server_main(torc_server *s, int argc, char **argv)
{
    int err = torc_server_parse(s, argc, argv);
    if (err == -EBUSY) return err;
    if (err == 0) return torc_server_run(s);
    if (err < 0) log_line("%s", s->error);
    s->has_run = true;
    return err > 0 ? 0 : err == -EINVAL ? EXIT_OPTIONS : EXIT_START;
}
