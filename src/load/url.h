#pragma once
/* The URLs of a run: what each names, and where its server is. */

#include "load/plan.h"

/* Splits http://HOST[:PORT][/TARGET]; the fragment stays with the client (RFC 9110, 4.2.5). False
 * with a line in `why`. */
bool url_split(const char *url, slice *host, slice *target, char *why, size_t size);

/* Finds the addresses of HOST[:PORT], which becomes p->host. False with a line in `why`. */
bool url_resolve(struct plan *p, slice host, char *why, size_t size);
