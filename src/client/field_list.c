#include "client/field_list.h"

#include <stdlib.h>

enum { TEXT_FIRST = 512, FIELDS_FIRST = 16 };

void field_list_clear(struct field_list *l)
{
    l->len = 0;
    l->n = 0;
    l->in_value = l->failed = false;
}

void field_list_free(struct field_list *l)
{
    free(l->text);
    free(l->range);
    *l = (struct field_list){0};
}

static bool add_text(struct field_list *l, slice piece)
{
    if (l->cap - l->len < piece.len) {
        size_t cap = l->cap ? l->cap : TEXT_FIRST;
        while (cap - l->len < piece.len) cap *= 2;
        char *text = realloc(l->text, cap);
        l->failed |= !text;
        if (!text) return false;
        l->text = text;
        l->cap = cap;
    }
    memcpy(l->text + l->len, piece.ptr, piece.len);
    l->len += piece.len;
    return true;
}

static struct field_range *add_field(struct field_list *l)
{
    if (!l->range || l->n == l->n_cap) {
        uint32_t cap = l->n_cap ? l->n_cap * 2 : FIELDS_FIRST;
        struct field_range *range = realloc(l->range, cap * sizeof *range);
        l->failed |= !range;
        if (!range) return NULL;
        l->range = range;
        l->n_cap = cap;
    }
    struct field_range *f = &l->range[l->n++];
    *f = (struct field_range){.name = l->len};
    return f;
}

void field_list_add_name(struct field_list *l, slice piece)
{
    struct field_range *f = l->n ? &l->range[l->n - 1] : NULL;
    if (l->failed) return;
    if (!f || l->in_value) f = add_field(l);
    l->in_value = false;
    if (f && add_text(l, piece)) f->name_len += piece.len;
}

void field_list_add_value(struct field_list *l, slice piece)
{
    if (l->failed || l->n == 0) return;
    struct field_range *f = &l->range[l->n - 1];
    if (!l->in_value) f->value = l->len;
    l->in_value = true;
    if (add_text(l, piece)) f->value_len += piece.len;
}

slice field_list_name(const struct field_list *l, size_t i)
{
    return slice_of(l->text + l->range[i].name, l->range[i].name_len);
}

slice field_list_value(const struct field_list *l, size_t i)
{
    const struct field_range *f = &l->range[i];
    return f->value_len ? slice_trim(slice_of(l->text + f->value, f->value_len)) : SLICE("");
}

slice field_list_find(const struct field_list *l, slice name)
{
    for (size_t i = 0; i < l->n; i++)
        if (slice_ieq(field_list_name(l, i), name)) return field_list_value(l, i);
    return (slice){NULL, 0};
}
