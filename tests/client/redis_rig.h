#pragma once
/* A Redis for tests on a free port of 127.0.0.1, which keeps nothing, and a server that asks it. */

#include "client.h"

struct redis_rig {
    pid_t pid; /* 0: it does not run */
    unsigned port;
    char dir[64];
    struct server server;
};

/* Skips the program if Redis is not installed. */
void redis_rig_choose(int argc, char **argv);

/* Starts Redis and the server, with options of the server's; `options` as redis_server.c has them,
 * without the address. */
void redis_rig_start_list(struct redis_rig *r, const char *redis, const char *const *options);
#define redis_rig_start(r, redis, ...)                                                             \
    redis_rig_start_list(r, redis, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* The server alone, to which this address is given. */
void redis_rig_start_server(struct redis_rig *r, const char *address, const char *redis,
                            const char *const *options);

void redis_rig_stop(struct redis_rig *r);

/* Kills Redis, and starts it again at the same port. */
void redis_rig_down(struct redis_rig *r);
void redis_rig_up(struct redis_rig *r);

/* Kills Redis, and starts it at another port. */
void redis_rig_move(struct redis_rig *r);

/* A GET of the server, on a connection of its own, that does not wait. */
void redis_rig_begin(const struct redis_rig *r, struct client *c, const char *path);

/* Its answer must have that body; closes the connection. */
void redis_rig_answer(struct client *c, const char *body);

/* A GET of the server; the body must be that one. */
void redis_rig_run(const struct redis_rig *r, const char *path, const char *body);

/* Asks Redis itself, words separated by spaces, on a connection of its own; the raw reply up to its
 * first line's end, or all of a bulk string. Valid until the next call. */
const char *redis_rig_ask(struct redis_rig *r, const char *command);

/* Waits until the reply begins with this. */
void redis_rig_await(struct redis_rig *r, const char *command, const char *reply);

/* Waits until INFO has this line. */
void redis_rig_await_info(struct redis_rig *r, const char *line);
