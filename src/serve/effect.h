#pragma once
/* Options that were given and change nothing, because of what others are. */

#include "serve/options.h"

/* Logs each option that the command line or the config file sets to another value than its default
 * although it has no effect: without the option that it belongs to, or on this engine. */
void effect_log(const struct option_set *s, const struct io_engine *engine);
