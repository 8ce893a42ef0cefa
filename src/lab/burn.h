#pragma once
/* Extra CPU time of a known amount: how well a benchmark measures it shows how far to trust it. */

extern const char *burn_option; /* --burn-ns; NULL if not given */

/* Reads the option. 0 or, with a message, -EINVAL. */
int burn_read(void);

/* Burns that much CPU time. */
void burn(void);
