#pragma once
/* A directory of the test's own (files.h), with directories, links and replaced files in it. What
 * goes wrong is asserted. */

#include "files.h"

struct tree {
    char *path;
};

void tree_make(struct tree *t);

/* With everything in it. */
void tree_remove(struct tree *t);

/* The path of a name in it; static memory, good until the eighth call from now. */
const char *tree_path(const struct tree *t, const char *name);

/* Each makes the directories on the way. */
void tree_dir(const struct tree *t, const char *name);
void tree_link(const struct tree *t, const char *name, const char *target);

/* In place of what was there by one rename, so that whoever looks finds the old or the new. */
void tree_file(const struct tree *t, const char *name, const void *data, size_t n);
void tree_text(const struct tree *t, const char *name, const char *text);

/* A file of that many zero bytes that takes no space. */
void tree_hole(const struct tree *t, const char *name, size_t size);
