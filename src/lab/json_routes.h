#pragma once
/* /json/{count}. */

#include "lab.h"

extern const struct lab_route json_routes[];
