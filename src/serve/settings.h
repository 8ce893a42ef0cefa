#pragma once
/* Option sets as settings: the options that a config file can have, and their values as text. */

#include "base/option.h"

/* Whether it is one of the server's own that a config file can have. Those of a program may be
 * secret. */
bool settings_has(const struct option *o);

/* Whether two values of an option, either of which may be NULL, are the same. */
static inline bool settings_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether a server that runs can take the value of `o` in place of `was`, as far as the options
 * tell.
 */
bool settings_may_change(const struct option *o, const char *was);

enum { SETTINGS_SHOWN = 512 };

/* A value for a message: as a config file has it, cut where it needs quotes and is long. What it
 * returns is `value` or in `room`. */
const char *settings_shown(const char *value, char room[SETTINGS_SHOWN]);

/* The settings as the lines of a config file; malloc'ed, NULL without memory. */
char *settings_text(const struct option_set *s);
