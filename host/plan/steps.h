/*
 * Plans as text and back, to keep them:
 *
 *     convert_f32_nchw_nchwc; conv_f32_nchwc_winograd [M=4 TILES=13 OC_BLOCKS=2] 2; fc_f32_gemv [ROWS=4 IMAGES=1] 1
 *
 * A step is an algorithm, its parameters if it has some, and the number of layers that it computes: none for a change of layout, of which
 * the text has no number.
 */
#ifndef CLVGG_PLAN_STEPS_H
#define CLVGG_PLAN_STEPS_H

#include "plan/plan.h"

#define PLAN_STEPS_BYTES 8000

/* False when it does not fit. */
bool plan_steps_text(const plan *p, char *out, size_t bytes);

/* The plan that text says, every step with the source. CLVGG_ERROR_UNSUPPORTED, with the step and why, when it is no plan of these layers
 * that the device supports and options allow; CLVGG_ERROR_FORMAT when text is not what plan_steps_text writes. */
clvgg_status plan_from_steps(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                             const plan_options *options, const char *text, const char *source, plan *out);

#endif
