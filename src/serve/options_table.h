#pragma once
/* The table of the server's options: names, help, defaults, bounds, and where values go. */

#include "base/option.h"

enum group {
    GROUP_SERVE,
    GROUP_ENGINE,
    GROUP_RING,
    GROUP_LIMITS,
    GROUP_FILES,
    GROUP_OTHER,
    GROUP_PROGRAM, /* added by options_add */
};

extern const struct option_program options_table;
