#pragma once
/* What other threads have posted to a core (io_post); for turn.c. */

#include "io/io.h"

/* Moves what has been posted to io->posts, once that is empty. */
void inbox_take(struct io *io);

/* Runs some of io->posts, so that a turn stays short. */
void inbox_run(struct io *io);
