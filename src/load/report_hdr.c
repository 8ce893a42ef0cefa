#include "load/report.h"

#include <inttypes.h>

int report_hdr(const struct run *r, struct output *to)
{
    const struct histogram *h = &r->corrected;
    FILE *f = output_begin(to);
    fprintf(f, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    uint64_t ns, count, seen = 0;
    double squares = 0, mean = h->count ? (double)h->sum / (double)h->count : 0;
    for (unsigned at = 0; histogram_next(h, &at, &ns, &count);) {
        seen += count;
        double q = (double)seen / (double)h->count;
        squares += (double)count * ((double)ns - mean) * ((double)ns - mean);
        fprintf(f, "%12.6f %14.12f %10" PRIu64, (double)ns / 1e6, q, seen);
        fprintf(f, seen < h->count ? " %14.2f\n" : "\n", 1 / (1 - q));
    }
    double variance = h->count ? squares / (double)h->count : 0;
    fprintf(f, "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n", mean / 1e6,
            __builtin_sqrt(variance) / 1e6);
    fprintf(f, "#[Max     = %12.6f, Total count    = %12" PRIu64 "]\n", (double)h->max / 1e6,
            h->count);
    fprintf(f, "#[Buckets = %12d, SubBuckets     = %12d]\n",
            HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1, 1 << HISTOGRAM_SUB_BITS);
    return output_end(to);
}
