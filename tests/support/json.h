#pragma once
/* Just enough JSON for tests: is it valid, and what is at a path. */

#include <stdbool.h>

/* One value and white space around it, as RFC 8259 has it. */
bool json_valid(const char *text);

/* Where the value at a path such as "total.requests" or "per_core.0.core" begins, in valid JSON;
 * NULL where there is none. An empty path is the whole. */
const char *json_at(const char *text, const char *path);

/* The number there; asserts that there is one. */
double json_number(const char *text, const char *path);
