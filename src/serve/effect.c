#include "serve/effect.h"

#include "base/log.h"
#include "serve/settings.h"

#include <string.h>

static bool has_files(const struct options *o)
{
    for (uint32_t i = 0; i < o->n_listen; i++)
        if (o->listen[i].path && o->given[i] < 0) return true;
    return false;
}

/* What an option has no effect without; NULL if it has one. */
static const char *missing(const char *name, const struct options *o,
                           const struct io_engine *engine)
{
    const struct {
        const char *name;
        bool works;
        const char *without;
    } rules[] = {
        {"threads", io_holds_thread(engine), "without --engine threads"},
        {"rate-burst", o->rate, "without --rate-limit"},
        {"read-grace", o->limits.min_read_rate, "with --min-read-rate 0"},
        {"body-grace", o->limits.min_body_rate, "with --min-body-rate 0"},
        {"queue-timeout", o->limits.queue, "with --queue 0"},
        {"tcp-keepalive-interval", o->keepalive.idle, "with --tcp-keepalive 0"},
        {"tcp-keepalive-probes", o->keepalive.idle, "with --tcp-keepalive 0"},
        {"socket-mode", has_files(o), "without --listen unix:PATH"},
        {"proxy-field", o->limits.proxies.trusted.n, "without --trust-proxy"},
        {"timeline", o->has_admin, "without --admin"},
        {"access-log-format", o->access_log, "without --access-log"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (strcmp(rules[i].name, name) == 0 && !rules[i].works) return rules[i].without;
    return NULL;
}

/* A program may set what matters only once its user sets more, and a config file made of /settings
 * has every default. */
static bool is_given(const struct option *o, const struct option *untouched)
{
    return o->level > LEVEL_PROGRAM && !settings_same(o->text, untouched->text);
}

void effect_log(const struct option_set *s, const struct io_engine *engine)
{
    struct option_set *defaults = options_new();
    for (size_t i = 0; defaults && i < options_table.count; i++) {
        const struct option *o = &s->list[i];
        const char *without = missing(o->name, s->values, engine);
        if (without && is_given(o, &defaults->list[i]))
            log_line("--%s has no effect %s", o->name, without);
    }
    options_free(defaults);
}
