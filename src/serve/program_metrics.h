#pragma once
/* Numbers of the program in /metrics and /stats.json: torc_metrics_add. */

#include "base/json.h"
#include "serve/server_state.h"

/* As Prometheus text. */
void program_metrics_text(const struct torc_server *s, struct writer *out);

/* As members of the object that `j` has begun. */
void program_metrics_json(const struct torc_server *s, struct json *j);

void program_metrics_free(struct torc_server *s);
