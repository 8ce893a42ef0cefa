/* /metrics, parsed by the rules of the Prometheus text exposition format, version 0.0.4. */

#include "client.h"
#include "files.h"
#include "stats.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t name_length(const char *p)
{
    size_t n = 0;
    while (isalpha((unsigned char)p[n]) || p[n] == '_' || p[n] == ':' ||
           (n && isdigit((unsigned char)p[n])))
        n++;
    return n;
}

/* The position after the labels, if any; NULL if they are malformed. */
static const char *skip_labels(const char *p)
{
    if (*p != '{') return p;
    for (p++; *p != '}';) {
        size_t n = name_length(p);
        if (!n || p[n] != '=' || p[n + 1] != '"') return NULL;
        for (p += n + 2; *p != '"'; p++) {
            if (!*p || *p == '\n') return NULL;
            if (*p == '\\' && !strchr("\\\"n", *++p)) return NULL;
        }
        p++;
        if (*p == ',')
            p++;
        else if (*p != '}')
            return NULL;
    }
    return p + 1;
}

struct family {
    char name[64];
    int help, type, samples;
    bool counter;
};

static struct family families[128];
static size_t n_families;

static struct family *family(const char *name, size_t n)
{
    for (size_t i = 0; i < n_families; i++)
        if (strlen(families[i].name) == n && memcmp(families[i].name, name, n) == 0)
            return &families[i];
    assert_true(n_families < 128 && n < 64);
    struct family *f = &families[n_families++];
    *f = (struct family){0};
    memcpy(f->name, name, n);
    return f;
}

/* A family is one HELP line, one TYPE line and its samples, not mixed with other families. */
static void check_line(const char *line, struct family **current)
{
    if (line[0] == '#') {
        bool help = strncmp(line, "# HELP ", 7) == 0;
        assert_true(help || strncmp(line, "# TYPE ", 7) == 0);
        size_t n = name_length(line + 7);
        assert_true(n > 0 && line[7 + n] == ' ');
        const char *rest = line + 7 + n + 1;
        assert_true(*rest != '\0');
        struct family *f = family(line + 7, n);
        if (help) {
            assert_int_equal(f->help++, 0);
            *current = f;
        } else {
            assert_int_equal(f->type++, 0);
            f->counter = strcmp(rest, "counter") == 0;
            assert_true(f->counter || strcmp(rest, "gauge") == 0);
        }
        assert_int_equal(f->samples, 0);
        assert_ptr_equal(f, *current);
        return;
    }
    size_t n = name_length(line);
    assert_true(n > 0);
    struct family *f = family(line, n);
    assert_ptr_equal(f, *current);
    assert_true(f->help == 1 && f->type == 1);
    const char *p = skip_labels(line + n);
    assert_non_null(p);
    assert_int_equal(*p, ' ');
    char *end;
    double v = strtod(p + 1, &end);
    assert_true(end > p + 1 && *end == '\0' && isfinite(v) && v >= 0);
    f->samples++;
}

static double sample(const char *text, const char *series)
{
    size_t n = strlen(series);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, series, n) == 0 && line[n] == ' ') return strtod(line + n, NULL);
    print_error("no %s\n", series);
    fail();
    return 0;
}

static void test_metrics_are_valid(void **state)
{
    struct server s;
    struct reply r = {0};
    struct family *current = NULL;
    (void)state;
    char *dir = files_open(), *log = files_path(dir, "log");
    const char *cores = server_two_cores();
    server_start(&s, "--cores", cores, "--access-log", log);
    for (int i = 0; i < 10; i++) client_fetch(&s.addr, "/plaintext", &r);
    stats_await(&s, "total.requests", 10);
    client_fetch(&s.admin, "/metrics", &r);
    assert_int_equal(r.status, 200);
    char *type = reply_field(&r, "Content-Type");
    assert_string_equal(type, "text/plain; version=0.0.4; charset=utf-8");
    free(type);
    assert_int_equal(r.body[r.body_len - 1], '\n');
    assert_int_equal(strlen(r.body), r.body_len);

    char *copy = strdup(r.body), *rest = copy;
    for (char *line; (line = strsep(&rest, "\n")) && rest;) check_line(line, &current);
    free(copy);
    for (size_t i = 0; i < n_families; i++) {
        struct family *f = &families[i];
        size_t n = strlen(f->name);
        bool total = n > 6 && strcmp(f->name + n - 6, "_total") == 0;
        assert_int_equal(strncmp(f->name, "torc_", 5), 0);
        assert_int_equal(total, f->counter);
        assert_true(f->samples > 0);
    }
    double requests = sample(r.body, "torc_requests_total{core=\"0\"}");
    if (cores[0] == '2') requests += sample(r.body, "torc_requests_total{core=\"1\"}");
    assert_true(requests == 10);
    assert_true(sample(r.body, "torc_access_log_dropped_total{core=\"0\"}") == 0);
    char info[256];
    snprintf(info, sizeof info, "engine=\"%s\",cores=\"%s\"", server_engine, cores);
    assert_non_null(strstr(r.body, info));
    reply_free(&r);
    server_stop(&s);
    free(log);
    files_close(dir);
}

int main(int argc, char **argv)
{
    server_choose(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_are_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
