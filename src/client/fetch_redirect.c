/* Redirects of a fetch (RFC 9110, 15.4). */

#include "client/fetch.h"

#include <errno.h>
#include <stdlib.h>

static slice location(const struct fetch *f)
{
    return field_list_find(&f->fields, SLICE("location"));
}

bool fetch_is_redirect(const struct fetch *f)
{
    int status = f->parser.status;
    bool leads = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    return leads && f->options.redirects && !f->options.streamed && location(f).ptr;
}

static void change_method(struct fetch *f)
{
    int status = f->parser.status;
    bool post = slice_eq(f->method, SLICE("POST"));
    if (status == 307 || status == 308) return;
    if (status != 303 && !post) return;
    f->without_body = true;
    if (!slice_eq(f->method, SLICE("HEAD"))) f->method = SLICE("GET");
}

int fetch_redirect(struct fetch *f)
{
    struct url url;
    enum { ROOM = URL_MAX + URL_HOST_MAX + 16 };
    if (f->redirected++ == f->options.redirects) return -ELOOP;
    char *text = malloc(ROOM);
    if (!text) return -ENOMEM;
    int n = url_resolve(&f->url, location(f), text, ROOM);
    int err = n < 0 ? n : url_parse(slice_of(text, (size_t)n), &url);
    if (err < 0) {
        free(text);
        return err == -EINVAL ? -EBADMSG : err;
    }
    if (!url_same_server(&url, &f->url)) {
        f->crossed = true;
        f->options.connect_to = NULL;
    }
    free(f->own_url);
    f->own_url = text;
    f->url = url;
    change_method(f);
    return 0;
}
