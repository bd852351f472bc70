/* What tuning knows about a plan: the other ways that were tried for a step, and how the search went. */
#ifndef CLVGG_TUNE_ALTERNATIVES_H
#define CLVGG_TUNE_ALTERNATIVES_H

#include "engine/engine.h"

/* As the public calls: rows of exactly this device and software, and of engines with these options. Arrays that the caller
 * frees; NULL when *count is 0. */
clvgg_status alternatives_of_step(const clvgg_device_info *dev, const plan_step *step,
                                  const clvgg_engine_options *options, clvgg_alternative **list, size_t *count);
/* layers as engine_layers makes them. */
clvgg_status alternatives_history(const clvgg_device_info *dev, const layer *layers, size_t layer_count,
                                  const clvgg_engine_options *options, clvgg_tune_event **list, size_t *count);

#endif
