#include "backends.h"

#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[256], pg[256], redis[256];

static void keep(const char *line, const char *name, char *out)
{
    size_t n = strlen(name);
    if (strncmp(line, name, n) == 0)
        snprintf(out, 256, "%.*s", (int)strcspn(line + n, "\n"), line + n);
}

/* Its exit status; its lines are kept. */
static int run(const char *words)
{
    char command[1024], line[512];
    snprintf(command, sizeof command, "exec '%s' %s", BACKENDS, words);
    fflush(NULL);
    FILE *f = popen(command, "re"); /* NOLINT(cert-env33-c): a script of ours */
    if (!f) return -1;
    while (fgets(line, sizeof line, f)) {
        keep(line, "dir=", dir);
        keep(line, "pg=", pg);
        keep(line, "redis=", redis);
    }
    return pclose(f);
}

static bool installed(void)
{
    return system("command -v initdb || ls /usr/lib/postgresql/*/bin/initdb") == 0 && /* NOLINT */
           system("command -v redis-server") == 0;                                    /* NOLINT */
}

void backends_open(void)
{
    char words[64];
    if (!installed()) {
        fputs("PostgreSQL or Redis is not installed\n", stderr);
        exit(77);
    }
    snprintf(words, sizeof words, "start --with %d", (int)getpid());
    if (run(words) == 0) return;
    fputs("tools/backends start failed\n", stderr);
    exit(1);
}

static int run_on_dir(const char *words)
{
    char all[512];
    snprintf(all, sizeof all, "%s --dir '%s'", words, dir);
    return run(all);
}

void backends_close(void)
{
    if (run_on_dir("stop") != 0) fputs("tools/backends stop failed\n", stderr);
}

const char *backends_pg(void)
{
    return pg;
}

const char *backends_redis(void)
{
    return redis;
}

void backends_do(const char *command, const char *which)
{
    char words[64];
    snprintf(words, sizeof words, "%s %s", command, which);
    assert_int_equal(run_on_dir(words), 0);
}
