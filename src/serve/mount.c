/* Where static files are served: the directory of --root, and others that the program names. */

#include "serve/mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mount {
    struct mount *next;
    char *dir;
    char prefix[];
};

static void serve_root(torc_req *rq, void *arg)
{
    struct core_root *root = container_of(rq->ctx, struct core, http)->root;
    (void)arg;
    if (!root) {
        torc_reply_error(rq, 404);
        return;
    }
    root->refs++; /* another one may replace it meanwhile */
    static_reply(rq, root->path, torc_param(rq, "path"));
    core_root_release(root);
}

enum { PATTERN_MAX = 256 };

static int add_files(struct torc_server *s, const char *prefix, torc_handler *handler, void *arg)
{
    char pattern[PATTERN_MAX];
    size_t n = strlen(prefix);
    if (n == 0 || prefix[n - 1] != '/' || n + sizeof "*path" > sizeof pattern)
        return server_fail(s, -EINVAL,
                           "the prefix of static files must begin and end with a slash, unlike %s",
                           prefix);
    snprintf(pattern, sizeof pattern, "%s*path", prefix);
    int err = torc_route(s, "GET", pattern, handler, arg);
    if (err == 0) router_claim(s->router, slice_str(pattern)); /* files are read, not written */
    return err;
}

/* Redirects the prefix without its slash, unless the program has a route of its own there. */
static int add_redirect(struct torc_server *s, const char *prefix)
{
    char pattern[PATTERN_MAX];
    size_t n = strlen(prefix);
    if (n == 1) return 0;
    snprintf(pattern, sizeof pattern, "%.*s", (int)n - 1, prefix);
    int err = torc_route(s, "GET", pattern, static_redirect, NULL);
    return err == -EEXIST ? 0 : err;
}

int torc_static(torc_server *s, const char *prefix)
{
    bool had = s->has_handlers;
    int err = add_files(s, prefix, serve_root, NULL);
    if (err < 0) return err;
    s->serves_root |= strcmp(prefix, "/") == 0;
    err = add_redirect(s, prefix);
    s->has_handlers = had;
    return err;
}

static void free_mount(struct mount *m)
{
    free(m->dir);
    free(m);
}

static struct mount *new_mount(const char *prefix, const char *dir)
{
    size_t n = strlen(prefix) + 1;
    struct mount *m = malloc(sizeof *m + n);
    if (!m) return NULL;
    memcpy(m->prefix, prefix, n);
    m->dir = strdup(dir);
    if (m->dir) return m;
    free(m);
    return NULL;
}

int torc_static_dir(torc_server *s, const char *prefix, const char *dir)
{
    if (!*dir) return server_fail(s, -EINVAL, "no directory for the files of %s", prefix);
    struct mount *m = new_mount(prefix, dir);
    if (!m) return server_fail(s, -ENOMEM, "out of memory");
    int err = add_files(s, prefix, static_serve, m->dir);
    if (err < 0) {
        free_mount(m);
        return err;
    }
    m->next = s->mounts;
    s->mounts = m;
    return add_redirect(s, prefix);
}

int mounts_check(struct torc_server *s)
{
    const char *root = s->options->root;
    int err = root ? static_check(root) : 0;
    if (err < 0) return server_fail(s, err, "cannot open --root %s: %s", root, strerror(-err));
    for (const struct mount *m = s->mounts; m; m = m->next) {
        err = static_check(m->dir);
        if (err < 0)
            return server_fail(s, err, "cannot open %s, the directory of %s: %s", m->dir, m->prefix,
                               strerror(-err));
    }
    return 0;
}

void mounts_free(struct torc_server *s)
{
    for (struct mount *m = s->mounts, *next; m; m = next) {
        next = m->next;
        free_mount(m);
    }
}
