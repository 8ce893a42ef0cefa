#include "serve/settings.h"

#include "base/config_line.h"
#include "serve/options_table.h"

#include <stdlib.h>

bool settings_has(const struct option *o)
{
    return !o->command && o->group != GROUP_PROGRAM;
}

/* An access log needs buffers from the start. */
bool settings_may_change(const struct option *o, const char *was)
{
    bool log = strcmp(o->name, "access-log") == 0;
    return o->reload && !(log && !was != !o->text);
}

/* A config file has one value on a line. */
static size_t put_line(const struct option *o, slice value, char *out)
{
    size_t n = (size_t)sprintf(out, "%s = ", o->name);
    n += config_value_put(value, out + n);
    out[n] = '\n';
    return n + 1;
}

const char *settings_shown(const char *value, char room[SETTINGS_SHOWN])
{
    enum { MOST = (SETTINGS_SHOWN - sizeof "\"\"...") / 4 };
    if (!value) return "none";
    slice v = slice_str(value);
    if (!config_value_quoted(v)) return value;
    bool cut = v.len > MOST;
    size_t n = config_value_put(slice_of(value, cut ? MOST : v.len), room);
    if (cut) memcpy(room + n, "...", sizeof "...");
    return room;
}

static size_t put_option(const struct option *o, char *out)
{
    size_t n = 0;
    slice rest = slice_str(o->text), value;
    if (!o->repeats) return put_line(o, rest, out);
    while (slice_cut(&rest, ' ', &value)) n += put_line(o, value, out + n);
    return n;
}

static size_t size_of(const struct option *o)
{
    size_t lines = 1;
    for (const char *c = o->text; *c; c++) lines += *c == ' ';
    return config_value_size(slice_str(o->text)) +
           lines * (strlen(o->name) + config_value_size(SLICE("")) + sizeof " = \n");
}

char *settings_text(const struct option_set *s)
{
    size_t size = 1, n = 0;
    for (size_t i = 0; i < s->count; i++)
        if (settings_has(&s->list[i]) && s->list[i].text) size += size_of(&s->list[i]);
    char *text = malloc(size);
    if (!text) return NULL;
    for (size_t i = 0; i < s->count; i++)
        if (settings_has(&s->list[i]) && s->list[i].text) n += put_option(&s->list[i], text + n);
    text[n] = '\0';
    return text;
}
