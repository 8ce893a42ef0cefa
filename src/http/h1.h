#pragma once
/* HTTP/1.x on a connection (RFC 9112): one request at a time, responses in order. */

#include "http/protocol.h"

extern const struct protocol h1_protocol;
