#pragma once
/* The white space that RFC 9112, 7.1.1 allows around ';' and '=' of a chunk extension (BWS), and
 * that llhttp refuses. It means nothing, so it is left out of what llhttp reads. */

#include "base/slice.h"

struct chunk_line {
    char last;    /* last byte passed on, 0 at the start of the line */
    bool quoted;  /* within a quoted string */
    bool escaped; /* after a backslash in it */
    bool held;    /* white space was left out, and the next byte decides whether it was allowed */
};

/* Takes a piece of `in`, which continues the line and is not empty. Returns its length; *pass is
 * what to read in its place: the piece itself, nothing, or one space where white space is not
 * allowed. A piece ends with the line at the latest, unless no white space follows in the line. */
size_t chunk_line_next(struct chunk_line *c, slice in, slice *pass);
