#pragma once
/* Reads JSON with jansson and looks up values by path. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

/* Parses the text, which must be one object; release it with json_decref. */
static inline json_t *json_read(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json) print_error("%s at %d of %s\n", error.text, error.position, text);
    assert_non_null(json);
    return json;
}

/* The value at a path such as "total.requests" or "per_core.0.core"; NULL if there is none. */
static inline json_t *json_at(json_t *json, const char *path)
{
    for (; json && *path; path += strcspn(path, "."), path += *path == '.') {
        char name[64];
        size_t n = strcspn(path, ".");
        assert_true(n < sizeof name);
        memcpy(name, path, n);
        name[n] = '\0';
        json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10))
                                   : json_object_get(json, name);
    }
    return json;
}

/* The number at a path; asserts that there is one. */
static inline double json_number(json_t *json, const char *path)
{
    json_t *v = json_at(json, path);
    if (!json_is_number(v)) print_error("no number at %s\n", path);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

/* The string at a path; asserts that there is one. */
static inline const char *json_text(json_t *json, const char *path)
{
    const char *text = json_string_value(json_at(json, path));
    if (!text) print_error("no text at %s\n", path);
    assert_non_null(text);
    return text;
}

/* Whether the value at a path equals `want`, written without spaces. */
static inline bool json_is(json_t *json, const char *path, const char *want)
{
    char *text = json_dumps(json_at(json, path), JSON_COMPACT | JSON_ENCODE_ANY);
    bool is = text && strcmp(text, want) == 0;
    free(text);
    return is;
}

/* Whether an array of strings contains `want`. */
static inline bool json_has(json_t *array, const char *want)
{
    size_t i;
    json_t *v;
    assert_true(json_is_array(array));
    json_array_foreach(array, i, v)
    {
        if (json_is_string(v) && strcmp(json_string_value(v), want) == 0) return true;
    }
    return false;
}
