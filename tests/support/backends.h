#pragma once
/* The real PostgreSQL and Redis, which a test program has for itself (tools/backends). */

/* Starts both. Exits with 77 (skipped) where they are not installed. They end with this process,
 * however it ends. */
void backends_open(void);

void backends_close(void);

/* What libpq takes, and ADDR:PORT. */
const char *backends_pg(void);
const char *backends_redis(void);

/* tools/backends with these words: "pause", "pg". */
void backends_do(const char *command, const char *which);
