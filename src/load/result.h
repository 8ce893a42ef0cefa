#pragma once
/* What a run came to, for people and for programs. */

#include "load/run.h"

/* To stdout, errors first; -1 with a line on stderr where it cannot be written. */
int result_print(const struct run *r);

/* Both go to files that the plan names; -1 with a line on stderr where one cannot be written. */
int result_write_json(const struct run *r);
int result_write_hdr(const struct run *r);

/* 0 when every reply was right, there was one, and what was watched is still there. */
int result_status(const struct run *r);
