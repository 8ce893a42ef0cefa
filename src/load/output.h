#pragma once
/* The files that a run is reported to. */

#include <stdbool.h>
#include <stdio.h>

/* A file that is to be written when a run is over. Opened before it, so that nothing is measured
 * that then cannot be kept; an old file has what it had until there is something to write. */
struct output {
    const char *path; /* "-" is stdout; NULL: nothing is to be written */
    FILE *file;
    bool made; /* there was none before */
};

/* -1 with a line on stderr where it cannot be written. */
int output_open(struct output *o, const char *path);

/* Closes it without having written; one that was made goes. */
void output_drop(struct output *o);

/* Whether both are one file, and the second would be written over the first. */
bool output_same(const struct output *a, const struct output *b);

/* Drops what an old file had. */
FILE *output_begin(const struct output *o);

/* Closes it; -1 with a line on stderr where not all of it could be written. */
int output_end(struct output *o);
