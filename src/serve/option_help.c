#include "serve/option.h"

#include <stdio.h>

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
    int at = fprintf(out, "  --%s%s%s%s", option_is_flag(o) && !o->command ? "[no-]" : "", o->name,
                     o->takes ? " " : "", o->takes ? o->takes : "");
    fprintf(out, at + 2 > HELP_COLUMN ? "\n%*s" : "%*s",
            at + 2 > HELP_COLUMN ? HELP_COLUMN : HELP_COLUMN - at, "");
    snprintf(text, sizeof text, value ? "%s (default %s)" : "%s", o->help, value);
    print_wrapped(text, HELP_COLUMN, out);
}

static void print_title(enum option_group g, const char *program, FILE *out)
{
    if (g == GROUP_OWN)
        fprintf(out, "\nOptions of %s\n", program);
    else
        fprintf(out, "\n%s\n", option_group_titles[g]);
}

void options_print_help(const struct option_set *s, const char *program, const char *about,
                        FILE *out)
{
    const char *slash = strrchr(program, '/');
    if (slash) program = slash + 1;
    fprintf(out, "Usage: %s [OPTION]...\n", program);
    if (about) fprintf(out, "\n%s\n", about);
    for (unsigned g = 0; g < GROUPS; g++) {
        bool empty = true;
        for (size_t i = 0; i < s->count; i++) {
            if (s->list[i].group != g) continue;
            if (empty) print_title(g, program, out);
            print_option(&s->list[i], out);
            empty = false;
        }
    }
    fputs("\nA SIZE is in bytes or has k, m or g behind it (binary). A TIME has its unit: ms, s, m "
          "or h.\nThe config file has a line \"name = value\" for each option, yes or no for a "
          "flag, and # for comments.\n",
          out);
}
