#include "base/assert.h"

#include "base/log.h"

#include <stdlib.h>

void assert_fail(const char *expr, const char *file, int line)
{
    log_line("assertion failed: %s (%s:%d)", expr, file, line);
    abort();
}
