#pragma once
/* The file of a report. */

#include <stdbool.h>
#include <stdio.h>

/* Opened before the run, so that an unwritable file is found before anything is measured. An old
 * file keeps its contents until the report is written. */
struct output {
    const char *path; /* "-" is stdout; NULL: no report */
    FILE *file;
    bool created; /* the file is new */
};

/* -1 with a line on stderr where it cannot be opened. */
int output_open(struct output *o, const char *path);

/* Closes it unwritten; removes it where output_open created it. */
void output_drop(struct output *o);

/* Whether both are the same regular file, so that one would overwrite the other. */
bool output_same(const struct output *a, const struct output *b);

/* Empties the file. */
FILE *output_begin(const struct output *o);

/* Closes it; -1 with a line on stderr where not everything could be written. */
int output_end(struct output *o);
