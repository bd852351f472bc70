/*
 * The gate that another precision than f32 has to pass: engines whose plan is less exact only where that was compared with f32 on images
 * and found near enough (limits.h), on this device and with these weights. What it came to is remembered (memory.h), so that only the
 * first start pays.
 *
 * One engine runs plan after plan: f32 first, then what is to be judged, and it is left with the plan that is used. Steps that both
 * plans have keep their weights, and the others' go before new ones come, so that the device never holds more than one plan's.
 */
#ifndef CLVGG_GATE_GATE_H
#define CLVGG_GATE_GATE_H

#include "engine/engine.h"

typedef struct gate_result {
  clvgg_accuracy accuracy;
  clvgg_precision opened; /* whose plan it is, as tuning has them: what was asked for, or F32, or AUTO's choice */
} gate_result;

/* Opens an engine with the plan of tuned_plan in the precision of options, or in f32 where that does not pass. options: every field set;
 * preprocess: the model's, or with pixels that of options, valid. A plan of the tuning database that cannot be opened is no error: the
 * one without it does. */
clvgg_status gate_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options,
                       const clvgg_preprocess *preprocess, engine **out, gate_result *result);

#endif
