#pragma once
/* The fields of a response, as they come from the parser in pieces. */

#include "base/slice.h"

struct field_list {
    char *text; /* malloc'ed: names and values, concatenated */
    size_t len, cap;
    struct field_range *range; /* malloc'ed, one for each field */
    uint32_t n, n_cap;
    bool in_value; /* the next piece of a name begins a field */
    bool failed;   /* out of memory */
};

/* A field, as offsets into the text. */
struct field_range {
    size_t name, name_len, value, value_len;
};

void field_list_clear(struct field_list *l);
void field_list_free(struct field_list *l);

void field_list_add_name(struct field_list *l, slice piece);
void field_list_add_value(struct field_list *l, slice piece);

/* Slices are valid until the next call that adds or clears. */
slice field_list_name(const struct field_list *l, size_t i);

/* Without surrounding white space. */
slice field_list_value(const struct field_list *l, size_t i);

/* The value of the first field of that name, case-insensitive; absent if there is none. */
slice field_list_find(const struct field_list *l, slice name);
