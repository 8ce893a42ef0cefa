#pragma once
/* What --check says of a server that runs: how its settings differ, as its --admin tells them. */

#include "base/option.h"
#include "io/sock.h"

/* A setting that differs. */
struct running_change {
    const struct option *option;
    const char *was; /* of the server that runs; NULL: none */
    bool restart;    /* a reload would be refused for it */
};

struct running {
    bool reached; /* a server has told its settings */
    char *text;   /* these, malloc'ed */
    struct running_change change[OPTIONS_MAX];
    uint32_t n_changes;
};

/* Asks the server at that address, within some seconds, and compares with `s`. */
void running_compare(struct running *r, const struct option_set *s, const struct sock_addr *admin);

void running_free(struct running *r);
