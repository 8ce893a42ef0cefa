#pragma once
/* The locale of a program that calls setlocale, for a user in Germany. */

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static char comma_locale_dir[64];

static inline bool comma_locale_make(void)
{
    char command[256];
    snprintf(comma_locale_dir, sizeof comma_locale_dir, "/tmp/torc-test-locale-XXXXXX");
    if (!mkdtemp(comma_locale_dir)) {
        comma_locale_dir[0] = '\0';
        return false;
    }
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1",
             comma_locale_dir, comma_locale_dir);
    return system(command) == 0 && setenv("LOCPATH", comma_locale_dir, 1) == 0;
}

/* False where there is no such locale, and none can be made: then numbers have a point anyway. */
static inline bool comma_locale_enter(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i])) return true;
    return comma_locale_make() && setlocale(LC_ALL, names[0]);
}

static inline void comma_locale_leave(void)
{
    char command[128];
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    if (!comma_locale_dir[0]) return;
    snprintf(command, sizeof command, "rm -r %s", comma_locale_dir);
    if (system(command) != 0) perror(comma_locale_dir);
}
