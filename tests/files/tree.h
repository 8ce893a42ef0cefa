#pragma once
/* A temporary directory (files.h) with directories, links and files. Failures are asserted. */

#include "files.h"

struct tree {
    char *path;
};

void tree_make(struct tree *t);

/* Removes the directory and its content. */
void tree_remove(struct tree *t);

/* The path of a name in it; static memory, valid for the next seven calls. */
const char *tree_path(const struct tree *t, const char *name);

/* These create missing parent directories. */
void tree_dir(const struct tree *t, const char *name);
void tree_link(const struct tree *t, const char *name, const char *target);

/* Replaces what was there by one rename, so that a reader finds either the old or the new file. */
void tree_file(const struct tree *t, const char *name, const void *data, size_t n);
void tree_text(const struct tree *t, const char *name, const char *text);

/* A sparse file of `size` zero bytes. */
void tree_hole(const struct tree *t, const char *name, size_t size);
