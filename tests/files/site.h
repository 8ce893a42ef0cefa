#pragma once
/* Shared by the tests of static files: a server with a root directory and a client on one
 * connection. */

#include "client.h"
#include "tree.h"

#include <string.h>

extern struct tree tree; /* the root is its directory "root"; siblings are outside the root */
extern struct server server;
extern struct client client;
extern struct reply reply; /* the last response */

/* cmocka group set-up and tear-down of the tree; each test starts its own server in it. */
int site_make(void **state);
int site_remove(void **state);

/* Starts the server on the root with further options, and connects the client. */
#define site_start(...) site_start_list((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
void site_start_list(const char *const *options);

/* Likewise, as a cmocka set-up without further options. */
int site_start_plain(void **state);

/* cmocka tear-down of a test: the server exits with 0 and has logged no error. */
int site_stop(void **state);

/* Sends a request with further field lines on the client's connection; returns the status. */
int request(const char *method, const char *path, const char *fields);
int get(const char *path);

/* Checks status and body of a GET. */
void expect(const char *path, int status, const char *body);

/* Checks a field of the last response; NULL: it must be absent. */
void expect_field(const char *name, const char *value);

/* Returns a field of the last response, to be freed; asserts that it is present. */
char *copy_field(const char *name);

/* Repeats the request until the response is as expected: a change need not be visible at once. */
void await(const char *path, const char *fields, int status, const char *body);

/* Writes a file that was last modified SITE_TIME s and `ns` after 1970. */
#define SITE_TIME     784111777
#define SITE_MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
void site_put(const char *name, const char *text, long ns);

/* A text of 26 bytes, and its entity-tag if `ns` is 5: 784111777.000000005 s in ns, and the
 * length. */
#define SITE_ABC     "abcdefghijklmnopqrstuvwxyz"
#define SITE_ABC_TAG "\"ae1b981bc490a05-1a\""

/* Number of descriptors of the server for files below the root (the root itself excluded). */
unsigned site_open_files(void);

/* Whether the server has mapped that file below the root. */
bool site_mapped(const char *path);

/* Requests the file until the server maps it. */
void site_map(const char *path);

/* Waits until site_open_files returns `n`. */
void site_await_open_files(unsigned n);
