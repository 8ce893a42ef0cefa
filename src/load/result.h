#pragma once
/* What a run came to, for people and for programs. */

#include "load/output.h"
#include "load/run.h"

/* What a run may have measured in the server's place. */
enum load_limit {
    LIMIT_NONE,
    LIMIT_CORES,  /* the generator used its cores up */
    LIMIT_PORTS,  /* of this host; there were none left to connect from */
    LIMIT_WAITED, /* other programs had the generator's cores */
    LIMIT_RATE,   /* requests were due and found no connection: of the server, or of too few
                     connections */
};

/* The one to be fixed first. */
enum load_limit result_limit(const struct run *r);

/* To stdout, errors first; -1 with a line on stderr where it cannot be written. */
int result_print(const struct run *r);

/* Both close what they write; -1 with a line on stderr where it cannot be written. */
int result_write_json(const struct run *r, struct output *to);
int result_write_hdr(const struct run *r, struct output *to);

/* 0 when every reply was right, there was one, and what was watched is still there. */
int result_status(const struct run *r);
