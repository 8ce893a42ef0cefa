#pragma once
/* A line of a config file, "name = value", as text: read and written. What is written is read as
 * the same value. */

#include "base/slice.h"

/* Splits a line, without its end, in place: the name, and the value as a C string within the line.
 * *name is empty and *value NULL where there is none, *value NULL too where no '=' follows the
 * name. NULL, or what is wrong with the line. */
const char *config_line_split(char *line, slice *name, char **value);

/* Whether a value is written in quotes, as it would be read otherwise without them. */
bool config_value_quoted(slice value);

/* Bytes that the value takes at most, and a NUL. */
static inline size_t config_value_size(slice value)
{
    return 4 * value.len + 3;
}

/* Writes a value, which has no NUL itself, and a NUL. Returns the bytes without it. */
size_t config_value_put(slice value, char *out);
