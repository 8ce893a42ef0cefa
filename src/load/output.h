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

/* What is stdout by another name, such as /dev/stdout, counts as it. -1 with a line on stderr where
 * it cannot be opened. */
int output_open(struct output *o, const char *path);

/* Closes it unwritten; removes it where output_open created it. */
void output_drop(struct output *o);

/* Whether both are stdout or the same regular file, so that they would mix or overwrite each
 * other. */
bool output_same(const struct output *a, const struct output *b);

/* Empties the file. */
FILE *output_begin(const struct output *o);

/* Closes it; -1 with a line on stderr where not everything could be written. */
int output_end(struct output *o);
