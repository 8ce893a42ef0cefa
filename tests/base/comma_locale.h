#pragma once
/* The locale of a program that calls setlocale, for a user in Germany. */

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the leak sanitizer. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* False, too, where the C library knows the name, but not what the locale has. */
static inline bool comma_locale_set(const char *name)
{
    if (__lsan_disable) __lsan_disable(); /* glibc never frees the path that it makes of LOCPATH */
    bool is_known = setlocale(LC_ALL, name) != NULL;
    if (__lsan_enable) __lsan_enable();
    if (is_known && strcmp(localeconv()->decimal_point, ",") == 0) return true;
    setlocale(LC_ALL, "C");
    return false;
}

/* Where it is set, its files are in memory, so that they can go. */
static inline bool comma_locale_make(void)
{
    char dir[] = "/tmp/torc-test-locale-XXXXXX", command[256];
    if (!mkdtemp(dir)) return false;
    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1 || { cat %s/log; false; }",
             dir, dir, dir);
    bool is_set =
        system(command) == 0 && setenv("LOCPATH", dir, 1) == 0 && comma_locale_set("de_DE.UTF-8");
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -r %s", dir);
    if (system(command) != 0) perror(dir);
    return is_set;
}

/* False where there is no such locale, and none can be made: then numbers have a point anyway. */
static inline bool comma_locale_enter(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (comma_locale_set(names[i])) return true;
    if (comma_locale_make()) return true;
    fprintf(stderr, "no locale with a decimal comma here, nor sources of one (Debian: locales): "
                    "numbers are not tested in it\n");
    return false;
}

/* Also a cmocka tear-down, for the tests that follow one that has failed. */
static inline int comma_locale_leave(void **state)
{
    (void)state;
    setlocale(LC_ALL, "C");
    return 0;
}
