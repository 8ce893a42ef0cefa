#pragma once
/* The engines' tables, each defined in the file of its name where that is built in. */

#include "io/io.h"

extern const struct io_engine io_uring_engine;
extern const struct io_engine io_epoll_engine;
