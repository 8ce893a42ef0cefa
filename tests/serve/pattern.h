#pragma once
/* What the bodies of test_uploading.c consist of. */

#include <stdint.h>

static inline uint8_t pattern(uint64_t at)
{
    return (uint8_t)((at * 2654435761u) >> 24 ^ at >> 13);
}
