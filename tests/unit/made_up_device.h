/* A device for tests that call no OpenCL. */
#ifndef CLVGG_TESTS_MADE_UP_DEVICE_H
#define CLVGG_TESTS_MADE_UP_DEVICE_H

#include <string.h>

#include "clvgg/clvgg.h"

static inline clvgg_device_info device(clvgg_device_type type) {
  clvgg_device_info d = {.type = type,
                         .compute_units = 8,
                         .global_bytes = (uint64_t)8 << 30,
                         .max_alloc_bytes = (uint64_t)2 << 30,
                         .local_bytes = 32768,
                         .local_is_dedicated = type == CLVGG_DEVICE_GPU,
                         .max_work_group = 256,
                         .max_work_item = {256, 256, 256},
                         .native_float_width = type == CLVGG_DEVICE_CPU ? 16 : 1,
                         .preferred_float_width = type == CLVGG_DEVICE_CPU ? 16 : 1,
                         .base_align_bytes = 128,
                         .usable = 1};
  strcpy(d.name, "made up");
  return d;
}

#endif
