#pragma once
/* The page for a browser, and what it asks: see page/. */

#include "torc.h"

/* A file of the page; embed.py writes them. */
struct page_file {
    const char *route, *type, *etag;
    size_t size;
    const char *data;
};

/* Ends with an empty one. */
extern const struct page_file page_files[];

/* Mounts "/", its files and the measures. 0, or negative errno and a message in torc_server_error.
 */
int page_routes_mount(torc_server *s);
