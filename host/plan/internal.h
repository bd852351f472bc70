/* What the files of this folder share. */
#ifndef CLVGG_PLAN_INTERNAL_H
#define CLVGG_PLAN_INTERNAL_H

#include "plan/plan.h"

/* Sizes that any layout can have are checked once, before a plan is made. */
clvgg_status plan_check_sizes(const layer *layers, size_t count, size_t batch, size_t block);

/* Names the steps, and sums up the plan's memory. */
void plan_finish(const clvgg_device_info *dev, const layer *layers, size_t count, plan *p);

#endif
