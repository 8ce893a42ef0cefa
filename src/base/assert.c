#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_fail(const char *expr, const char *file, int line)
{
    fprintf(stderr, "torc: assertion failed: %s (%s:%d)\n", expr, file, line);
    abort();
}
