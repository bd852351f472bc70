/* What the models of time of the algorithms for GPUs share. Units, as in all models: floating point operations at the device's peak. They
 * are estimates from what such devices have in common, not fitted to one: enough for a sensible plan before anything was measured. */
#ifndef CLVGG_ALGO_GPU_H
#define CLVGG_ALGO_GPU_H

#include <stdbool.h>

#include "algo/common.h"

/* Operations in the time that a byte takes from or to memory. GPUs of the years 2014 to 2024 have 20 to 60 of f32, by their
 * manufacturers' data sheets: 13 TFLOP/s and 448 GB/s (29), 20 and 256 (78), 2.4 and 68 (35), 67 and 3350 (20). */
#define GPU_FLOPS_A_BYTE 30.0
/* In the time that a launch takes, some microseconds of a device of some TFLOP/s. */
#define GPU_FLOPS_A_LAUNCH 2e7

/* Whether these models hold. Elsewhere cost is INFINITY. */
static inline bool gpu_has_model(const clvgg_device_info *dev) {
  return dev->type == CLVGG_DEVICE_GPU || dev->type == CLVGG_DEVICE_ACCELERATOR;
}

#endif
