#pragma once
/* /crypto and /thumbnail. */

#include "lab.h"

extern const struct lab_route work_routes[];
