#include "client/head_text.h"

#include <stdlib.h>

enum { TEXT_FIRST = 512 };

void head_text_clear(struct head_text *h)
{
    h->len = 0;
    h->failed = false;
}

void head_text_free(struct head_text *h)
{
    free(h->text);
    *h = (struct head_text){0};
}

void head_text_add(struct head_text *h, slice s)
{
    if (h->cap - h->len < s.len) {
        size_t cap = h->cap ? h->cap : TEXT_FIRST;
        while (cap - h->len < s.len) cap *= 2;
        char *text = realloc(h->text, cap);
        h->failed |= !text;
        if (!text) return;
        h->text = text;
        h->cap = cap;
    }
    if (s.len) memcpy(h->text + h->len, s.ptr, s.len);
    h->len += s.len;
}

void head_text_field(struct head_text *h, slice name, slice value)
{
    if (!value.ptr) return;
    head_text_add(h, name);
    head_text_add(h, SLICE(": "));
    head_text_add(h, value);
    head_text_add(h, SLICE("\r\n"));
}
