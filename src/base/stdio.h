#pragma once
/* The descriptors 0 to 2. */

/* Occupies those that are closed. A file or socket that got such a number would receive what is
 * printed, and be read as input. Writing still fails, with EBADF. */
void stdio_reserve(void);
