/* What the files of this folder share. */
#ifndef CLVGG_PLAN_INTERNAL_H
#define CLVGG_PLAN_INTERNAL_H

#include "plan/plan.h"

/* Sizes that any layout can have are checked once, before a plan is made. */
clvgg_status plan_check_sizes(const layer *layers, size_t count, size_t batch, size_t block);

/* Whether a comma list of names, or NULL, holds name. */
bool plan_lists(const char *list, const char *name);

/* The shortest path through the network, whose weights take at most most_bytes, or INFINITY, beyond the layers' own. Without one:
 * CLVGG_ERROR_UNSUPPORTED. */
clvgg_status path_shortest(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                           const plan_options *options, double most_bytes, plan *out);

/* Bytes that a step's weights take more than the layer's own as f32; negative where they are stored smaller. */
double path_more_bytes(const plan_step *step);

/* Names the steps, and sums up the plan's memory. */
void plan_finish(const clvgg_device_info *dev, const layer *layers, size_t count, plan *p);

#endif
