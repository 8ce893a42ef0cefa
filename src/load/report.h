#pragma once
/* The reports of a run, for people and for programs. */

#include "load/output.h"
#include "load/run.h"

/* To stdout, errors first; -1 with a line on stderr where it cannot be written. */
int report_text(const struct run *r);

/* Both close what they write; -1 with a line on stderr where it cannot be written. */
int report_json(const struct run *r, struct output *to);

/* Latencies as HdrHistogram's outputPercentileDistribution writes them, in ms: plotters read it. */
int report_hdr(const struct run *r, struct output *to);
