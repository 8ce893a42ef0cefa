/* Where static files are served: the directory of --root, and others that the program names. */

#include "serve/mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mount {
    struct mount *next;
    char *dir; /* NULL: that of --root */
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
    m->dir = dir ? strdup(dir) : NULL;
    if (m->dir || !dir) return m;
    free(m);
    return NULL;
}

static int add_mount(struct torc_server *s, const char *prefix, const char *dir)
{
    char pattern[256];
    size_t n = strlen(prefix);
    if (n == 0 || prefix[n - 1] != '/' || n + sizeof "*path" > sizeof pattern)
        return server_fail(s, -EINVAL,
                           "the prefix of static files must begin and end with a slash, unlike %s",
                           prefix);
    snprintf(pattern, sizeof pattern, "%s*path", prefix);
    struct mount *m = new_mount(prefix, dir);
    if (!m) return server_fail(s, -ENOMEM, "out of memory");
    int err = torc_route(s, "GET", pattern, dir ? static_serve : serve_root, m->dir);
    if (err < 0) {
        free_mount(m);
        return err;
    }
    router_claim(s->router, slice_str(pattern)); /* files are read, not written */
    m->next = s->mounts;
    s->mounts = m;
    return 0;
}

int torc_static(torc_server *s, const char *prefix)
{
    bool had = s->has_handlers;
    int err = add_mount(s, prefix, NULL);
    s->has_handlers = had;
    s->serves_root |= err == 0 && strcmp(prefix, "/") == 0;
    return err;
}

int torc_static_dir(torc_server *s, const char *prefix, const char *dir)
{
    if (!*dir) return server_fail(s, -EINVAL, "no directory for the files of %s", prefix);
    return add_mount(s, prefix, dir);
}

bool mounts_redirect(struct torc_server *s)
{
    int err = 0;
    for (const struct mount *m = s->mounts; m && err == 0; m = m->next) {
        slice pattern = slice_of(m->prefix, strlen(m->prefix) - 1);
        if (pattern.len == 0 || router_added(s->router, HTTP_GET, pattern)) continue;
        if (router_added(s->router, ROUTE_ANY_METHOD, pattern)) continue;
        err = router_add(s->router, HTTP_GET, pattern, static_redirect, NULL, NULL);
    }
    return err == 0;
}

bool mounts_own(const struct torc_server *s)
{
    const struct mount *m = s->mounts;
    while (m && !m->dir) m = m->next;
    return m;
}

int mounts_check(struct torc_server *s)
{
    const char *root = s->options->root;
    int err = root ? static_check(root) : 0;
    if (err < 0) return server_fail(s, err, "cannot open --root %s: %s", root, strerror(-err));
    for (const struct mount *m = s->mounts; m; m = m->next) {
        err = m->dir ? static_check(m->dir) : 0;
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
