/* A loop spread over the processors, for host work such as packing weights and the C reference. */
#ifndef CLVGG_BASE_PARALLEL_H
#define CLVGG_BASE_PARALLEL_H

#include <stddef.h>

/* Calls body(i, context) for every i in [0, count) from up to as many threads as there are processors, in no particular
 * order, and returns when all are done. Where threads cannot be made the caller's own does everything. */
void parallel_for(size_t count, void (*body)(size_t i, void *context), void *context);

/* Processors that this process may run on (sched_getaffinity); at least 1. */
size_t parallel_width(void);

#endif
