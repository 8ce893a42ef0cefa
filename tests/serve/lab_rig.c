#include "lab_rig.h"

struct server lab;
struct upstream up;
struct reply last;

void lab_stop_upstream(void)
{
    up.let_go = true;
    server_stop(&lab);
    upstream_stop(&up);
}

const char *lab_get(const char *path, int status)
{
    client_fetch(&lab.addr, path, &last);
    reply_expect(&last, path, status);
    return last.body;
}

void lab_names(const char *text)
{
    const char *end = strchr(last.body, '\n');
    if (!strstr(last.body, text)) print_error("no \"%s\" in %s", text, last.body);
    assert_non_null(strstr(last.body, text));
    assert_true(end && end[1] == '\0');
}

void lab_refuses(const char *path, int status, const char *text)
{
    lab_get(path, status);
    lab_names(text);
}
