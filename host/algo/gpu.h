/* What the algorithms for GPUs share, most of it for their models of time. Units, as in all models: floating point operations at the device's peak. They
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

/* How much faster than memory the cache is that all groups share. */
#define GPU_CACHE_SPEEDUP 4.0
/* With so many work-items, each of many independent sums, a compute unit waits half of its time. */
#define GPU_ITEMS_HALF_BUSY 64.0

/* How many times as long groups of items work-items, of which resident fit a compute unit at once, take as if all units were always
 * busy: all wait for the unit with the most groups. A unit as narrow as one of Intel's needs fewer work-items than this asks for. */
static inline double gpu_waiting(const clvgg_device_info *dev, double groups, double items, double resident) {
  const double units = dev->compute_units ? dev->compute_units : 1, queued = ceil(groups / units);
  const double together = fmax(fmin(queued, resident), 1) * items;
  return units * queued / groups * (together + GPU_ITEMS_HALF_BUSY) / together;
}

/* What a convolution reads and writes at least. */
static inline double gpu_conv_bytes(const algo_problem *p, size_t weight_bytes) {
  const layer_shape *s = &p->shape;
  const double images = (double)p->batch * (double)(shape3_elements(s->in) + shape3_elements(s->out));
  return sizeof(float) * images + (double)weight_bytes * (double)layer_weight_count(s);
}

/* 2x2 squares of pixels of count images, in which the implicit matrix products go through them; squares fill up an odd last row or
 * column. */
static inline size_t gpu_quads(const layer_shape *s, size_t count) {
  return count * size_ceil_div(s->in.h, 2) * size_ceil_div(s->in.w, 2);
}

/* Whether these models hold. Elsewhere cost is INFINITY. */
static inline bool gpu_has_model(const clvgg_device_info *dev) {
  return dev->type == CLVGG_DEVICE_GPU || dev->type == CLVGG_DEVICE_ACCELERATOR;
}

#endif
