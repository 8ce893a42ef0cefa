#pragma once
/* Numbers for programs: a program that calls setlocale(3) may have printf write a decimal comma. */

#include <locale.h>

/* Between both calls printf writes a decimal point in this thread; all else of its locale stays. */
struct radix {
    locale_t before, own; /* own: 0 where nothing had to change */
};

void radix_begin(struct radix *r);
void radix_end(struct radix *r);
