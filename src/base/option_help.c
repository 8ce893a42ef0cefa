#include "base/option.h"

enum { HELP_WIDTH = 100, HELP_COLUMN = 30 };

static void print_wrapped(const char *text, int column, FILE *out)
{
    int at = column;
    for (const char *word = text; *word;) {
        int len = (int)strcspn(word, " ");
        if (at > column && at + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", column, "");
            at = column;
        }
        at += fprintf(out, "%s%.*s", at > column ? " " : "", len, word);
        word += len;
        word += strspn(word, " ");
    }
    fputc('\n', out);
}

static void print_option(const struct option *o, FILE *out)
{
    char text[512];
    const char *value = o->shown ? o->shown : o->command ? NULL : o->value;
    int at = fprintf(out, "  --%s%s%s%s%s", option_is_flag(o) && !o->command ? "[no-]" : "",
                     o->name, o->takes ? " " : "", o->takes ? o->takes : "", o->reload ? " *" : "");
    fprintf(out, at + 2 > HELP_COLUMN ? "\n%*s" : "%*s",
            at + 2 > HELP_COLUMN ? HELP_COLUMN : HELP_COLUMN - at, "");
    snprintf(text, sizeof text, value ? "%s (default %s)" : "%s", o->help, value);
    print_wrapped(text, HELP_COLUMN, out);
}

void option_print_help(const struct option_set *s, const char *program, const char *about,
                       FILE *out)
{
    const char *slash = strrchr(program, '/');
    if (slash) program = slash + 1;
    fprintf(out, "Usage: %s %s\n", program, s->program->usage);
    if (about) fprintf(out, "\n%s\n", about);
    for (unsigned g = 0; g < s->program->n_groups; g++) {
        const char *title = s->program->groups[g];
        bool empty = true;
        for (size_t i = 0; i < s->count; i++) {
            if (s->list[i].group != g) continue;
            if (empty)
                fprintf(out, "\n%s%s\n", title ? title : "Options of ", title ? "" : program);
            print_option(&s->list[i], out);
            empty = false;
        }
    }
    fprintf(out, "\n%s", s->program->notes);
}
