/* What a statement is, by its first words. */

#include "client/pg.h"

#include "base/slice.h"

#include <string.h>

static const char *skip_comment(const char *sql)
{
    unsigned depth = 0; /* they nest */
    do {
        bool begins = strncmp(sql, "/*", 2) == 0, ends = strncmp(sql, "*/", 2) == 0;
        depth += begins;
        depth -= ends;
        sql += begins || ends ? 2 : 1;
    } while (depth && *sql);
    return sql;
}

/* Empty where the statement begins with anything else. An empty statement before it is none. */
static slice first_word(const char *sql)
{
    for (;;) {
        sql += strspn(sql, " \t\r\n\f\v(;");
        if (strncmp(sql, "--", 2) == 0)
            sql += strcspn(sql, "\r\n");
        else if (strncmp(sql, "/*", 2) == 0)
            sql = skip_comment(sql);
        else
            break;
    }
    size_t n = 0;
    while (slice_lower(sql[n]) >= 'a' && slice_lower(sql[n]) <= 'z') n++;
    return slice_of(sql, n);
}

static bool begins_with(const char *sql, const char *const *words, size_t n)
{
    slice word = first_word(sql);
    for (size_t i = 0; i < n; i++)
        if (slice_ieq(word, slice_str(words[i]))) return true;
    return false;
}

bool pg_sql_is_of_one_transaction(const char *sql)
{
    static const char *const words[] = {"SELECT", "INSERT", "UPDATE", "DELETE",
                                        "MERGE",  "WITH",   "VALUES", "TABLE"};
    return begins_with(sql, words, ARRAY_LEN(words));
}

bool pg_sql_may_end(const char *sql)
{
    static const char *const words[] = {"ABORT", "COMMIT", "END", "PREPARE", "ROLLBACK"};
    return begins_with(sql, words, ARRAY_LEN(words));
}

bool pg_sql_commits(const char *sql)
{
    static const char *const words[] = {"COMMIT", "END"};
    return begins_with(sql, words, ARRAY_LEN(words));
}
