#include "serve/program_metrics.h"

#include "base/child.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct metrics_plan {
    struct metrics_plan *next;
    torc_metrics_fn *fn;
    void *arg;
};

/* One request for the numbers. */
struct torc_metrics {
    struct writer *text; /* or NULL */
    struct json *json;   /* or NULL */
    char **seen;         /* names so far */
    size_t n_seen;
};

int torc_metrics_add(torc_server *s, torc_metrics_fn *fn, void *arg)
{
    struct metrics_plan **last = &s->metrics;
    if (s->phase != SERVER_SETUP)
        return server_fail(s, -EBUSY, "metrics must be added before the server starts");
    if (!fn) return server_fail(s, -EINVAL, "a function for metrics is missing");
    struct metrics_plan *plan = malloc(sizeof *plan);
    if (!plan) return server_fail(s, -ENOMEM, "out of memory");
    *plan = (struct metrics_plan){NULL, fn, arg};
    while (*last) last = &(*last)->next;
    *last = plan;
    return 0;
}

void program_metrics_free(struct torc_server *s)
{
    for (struct metrics_plan *p; (p = s->metrics);) {
        s->metrics = p->next;
        free(p);
    }
}

/* ---- one number ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(const char *name)
{
    if (!is_letter(*name) || strncmp(name, "torc_", 5) == 0) return false;
    for (; *name; name++)
        if (!is_letter(*name) && !(*name >= '0' && *name <= '9')) return false;
    return true;
}

/* 0, -EEXIST or -ENOMEM. */
static int add_name(torc_metrics *m, const char *name)
{
    for (size_t i = 0; i < m->n_seen; i++)
        if (strcmp(m->seen[i], name) == 0) return -EEXIST;
    char **seen = realloc(m->seen, (m->n_seen + 1) * sizeof *seen);
    if (!seen) return -ENOMEM;
    m->seen = seen;
    seen[m->n_seen] = strdup(name);
    if (!seen[m->n_seen]) return -ENOMEM;
    m->n_seen++;
    return 0;
}

/* Within its line, as the text format has it. */
static void write_help(struct writer *out, const char *help)
{
    for (; *help; help++) {
        if (*help == '\\')
            writer_text(out, "\\\\");
        else if (*help == '\n')
            writer_text(out, "\\n");
        else
            writer_char(out, *help);
    }
}

static void write_double(struct writer *out, double v)
{
    if (isnan(v))
        writer_text(out, "NaN");
    else if (isinf(v))
        writer_text(out, v > 0 ? "+Inf" : "-Inf");
    else
        writer_printf(out, "%.15g", v);
}

static void write_text(struct writer *out, torc_metric_kind kind, const char *name,
                       const char *help, double v)
{
    writer_text(out, "# HELP ");
    writer_text(out, name);
    writer_char(out, ' ');
    write_help(out, help);
    writer_text(out, "\n# TYPE ");
    writer_text(out, name);
    writer_text(out, kind == TORC_GAUGE ? " gauge\n" : " counter\n");
    writer_text(out, name);
    writer_char(out, ' ');
    write_double(out, v);
    writer_char(out, '\n');
}

int torc_metric(torc_metrics *m, torc_metric_kind kind, const char *name, const char *help,
                double value)
{
    int err = is_name(name) ? add_name(m, name) : -EINVAL;
    if (err) return err;
    if (m->text) write_text(m->text, kind, name, help, value);
    if (m->json) json_put_double(m->json, name, value, -1);
    return 0;
}

/* ---- all of them ---- */

static void collect(const struct torc_server *s, struct torc_metrics *m)
{
    for (const struct metrics_plan *p = s->metrics; p; p = p->next) p->fn(m, p->arg);
    child_check();
    for (size_t i = 0; i < m->n_seen; i++) free(m->seen[i]);
    free(m->seen);
}

void program_metrics_text(const struct torc_server *s, struct writer *out)
{
    collect(s, &(struct torc_metrics){.text = out});
}

void program_metrics_json(const struct torc_server *s, struct json *j)
{
    collect(s, &(struct torc_metrics){.json = j});
}
