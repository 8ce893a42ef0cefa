#pragma once
/* What the tests of static files share: a server on a directory of theirs, and a client on one
 * connection to it. */

#include "client.h"
#include "tree.h"

#include <string.h>

extern struct tree tree; /* the root is the directory "root" in it: what is beside is outside */
extern struct server server;
extern struct client client;
extern struct reply reply; /* the last one */

/* cmocka group set-up and tear-down of the tree; cases start their server in it. */
int site_make(void **state);
int site_remove(void **state);

/* The server on the root with further options, and the client connected. */
#define site_start(...) site_start_list((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
void site_start_list(const char *const *options);

/* The same as a cmocka set-up, without further options. */
int site_start_plain(void **state);

/* cmocka tear-down of a case: the server ends with 0, and has complained of nothing. */
int site_stop(void **state);

/* Asks on the client's connection with these further field lines: the status. */
int ask(const char *method, const char *path, const char *fields);
int get(const char *path);

/* The whole answer of a GET, by its status and body. */
void expect(const char *path, int status, const char *body);

/* A field of the last reply; NULL for one that it must not have. */
void expect_field(const char *name, const char *value);

/* The same, to be freed; asserts that it is there. */
char *take_field(const char *name);

/* Asks until that is the answer: a change is to show some time, if not at once. */
void await(const char *path, const char *fields, int status, const char *body);

/* A file that was last modified SITE_TIME s and `ns` after 1970. */
#define SITE_TIME     784111777
#define SITE_MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
void site_put(const char *name, const char *text, long ns);

/* A text of 26 bytes, and its tag where `ns` is 5: 784111777.000000005 s in ns, and the length. */
#define SITE_ABC     "abcdefghijklmnopqrstuvwxyz"
#define SITE_ABC_TAG "\"ae1b981bc490a05-1a\""

/* How many descriptors of the server are of files below the root (the root itself apart). */
unsigned site_open_files(void);

/* Whether the server has mapped that file below the root. */
bool site_mapped(const char *path);

/* Has the file asked for until the server maps it. */
void site_map(const char *path);

/* Waits until there are so many. */
void site_await_open_files(unsigned n);
