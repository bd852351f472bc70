/* conv_f16_nchw_mma with its tensor instructions emulated. */
#include "kernels/emulated_mma.h"

#include <string.h>

#include "algo/common.h"
#include "algo/conv_mma.h"

static int value(const char *name, const int *param) {
  size_t i = 0;
  while (strcmp(algo_conv_mma.params[i].name, name) != 0) i++;
  return param[i];
}

static clvgg_device_info as_nvidia(const clvgg_device_info *dev) {
  clvgg_device_info nvidia = *dev;
  nvidia.nvidia_capability = 80;
  return nvidia;
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const clvgg_device_info nvidia = as_nvidia(dev);
  algo_conv_mma.choose(&nvidia, p, param);
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  const clvgg_device_info nvidia = as_nvidia(dev);
  return algo_conv_mma.supports(&nvidia, p, param, why);
}

/* And the matrices through which a warp's lanes exchange what they have: (16, K_STEP) and (K_STEP, 8) halves. */
static uint64_t local_bytes(const int *param) {
  const uint64_t warps = (uint64_t)value("WARPS_PX", param) * (uint64_t)value("WARPS_OC", param);
  return algo_conv_mma.local_bytes(param) + warps * 24 * (uint64_t)value("K_STEP", param) * 2;
}

/* And the loops of each instruction: two fill the matrices, one adds up. */
static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t k = (uint64_t)value("TILE_K", param), tiles = 9 * (uint64_t)size_ceil_div(p->shape.in.c, (size_t)k);
  const uint64_t blocks = (uint64_t)value("WARP_PX", param) / 8 * (uint64_t)value("WARP_OC", param) / 16;
  return algo_conv_mma.iterations(p, param) + tiles * blocks * (k / 2 + k / 4 + k);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  return conv_mma_prepare(inst, l, " -DEMULATE_MMA");
}

const algo *emulated_mma(void) {
  static algo row;
  row = algo_conv_mma;
  row.weight_error = 0;
  row.local_bytes = local_bytes;
  row.choose = choose;
  row.supports = supports;
  row.iterations = iterations;
  row.prepare = prepare;
  return &row;
}
