#pragma once
/* The text of a request's head. */

#include "base/slice.h"

struct head_text {
    char *text; /* malloc'ed */
    size_t len, cap;
    bool failed; /* out of memory */
};

void head_text_clear(struct head_text *h);
void head_text_free(struct head_text *h);

void head_text_add(struct head_text *h, slice s);

/* Adds a line, or nothing if the value is absent. */
void head_text_field(struct head_text *h, slice name, slice value);
