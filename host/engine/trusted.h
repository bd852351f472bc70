/* The plan that an engine runs: one whose every algorithm has shown on this device that it is right. */
#ifndef CLVGG_ENGINE_TRUSTED_H
#define CLVGG_ENGINE_TRUSTED_H

#include "plan/plan.h"

/* plan_make, again and again without the algorithms that fail their check, until no step's does. Steps that would have used one
 * of those say so in their source. When nothing is left for a layer, the failure of the last check, with algorithm and device. */
clvgg_status trusted_plan(clvgg_device *dev, const layer *layers, size_t count, size_t batch,
                          const plan_options *wishes, plan *out);

/* Whether every step of a plan is right on this device, checked as above. CLVGG_ERROR_MISMATCH and the like name the first that is
 * not. */
clvgg_status trusted_check(clvgg_device *dev, const plan *p);

#endif
