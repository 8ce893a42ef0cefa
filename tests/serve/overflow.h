#pragma once
/* For servers whose handlers and jobs overflow their stack. */

/* Takes 4 KiB for each step down, and uses them, so that the compiler does not leave them out. */
static void descend(volatile char *below, int depth)
{
    volatile char frame[4096];
    frame[0] = below[0];
    frame[sizeof frame - 1] = (char)depth;
    if (depth > 0) descend(frame, depth - 1);
    below[0] = frame[sizeof frame - 1];
}

/* Takes 4 MiB of stack. */
static inline int overflow_stack(void)
{
    volatile char top[1] = {0};
    descend(top, 1000);
    return top[0];
}
