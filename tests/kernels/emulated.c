/* conv_f16_nchw_mma and conv_f16_nchw_dpas with their instructions emulated. */
#include "kernels/emulated.h"

#include <string.h>

#include "algo/common.h"
#include "algo/mma.h"

/* Of the made-up GPU. */
#define CAPABILITY 80

static int value(const algo *a, const char *name, const int *param) {
  size_t i = 0;
  while (strcmp(a->params[i].name, name) != 0) i++;
  return param[i];
}

/* A warp's matrices, through which its lanes exchange what they have, are of halves: (rows, k) and (k, columns). Each instruction has loops of
 * its own, at most the product's length and three times the rows. */
static uint64_t matrix_bytes(const mma_tile *t, uint64_t rows, uint64_t columns, uint64_t k) {
  return mma_warps(t) * (rows + columns) * k * sizeof(uint16_t);
}

static uint64_t matrix_loops(const mma_tile *t, const algo_problem *p, uint64_t rows, uint64_t k) {
  const uint64_t tiles = 9 * (uint64_t)size_ceil_div(p->shape.in.c, t->k);
  return tiles * t->blocks * (t->k / k) * (3 * rows + k);
}

/* ---- conv_f16_nchw_mma */

static void choose_mma(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  clvgg_device_info nvidia = *dev;
  nvidia.nvidia_capability = CAPABILITY;
  algo_conv_mma.choose(&nvidia, p, param);
}

static bool supports_mma(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  clvgg_device_info nvidia = *dev;
  nvidia.nvidia_capability = CAPABILITY;
  return algo_conv_mma.supports(&nvidia, p, param, why);
}

static uint64_t local_bytes_mma(const int *param) {
  const mma_tile t = mma_of_nvidia.tile(param);
  return algo_conv_mma.local_bytes(param) + matrix_bytes(&t, 16, 8, (uint64_t)value(&algo_conv_mma, "K_STEP", param));
}

static uint64_t iterations_mma(const algo_problem *p, const int *param) {
  const mma_tile t = mma_of_nvidia.tile(param);
  return algo_conv_mma.iterations(p, param) + matrix_loops(&t, p, 16, (uint64_t)value(&algo_conv_mma, "K_STEP", param));
}

static clvgg_status prepare_mma(algo_instance *inst, const layer *l) {
  return mma_prepare(&mma_of_nvidia, inst, l, " -DEMULATE_MMA");
}

/* ---- conv_f16_nchw_dpas */

static clvgg_device_info as_intel(const clvgg_device_info *dev, int sub_group) {
  clvgg_device_info intel = *dev;
  intel.intel_matrix_multiply = 1;
  memset(intel.sub_group_sizes, 0, sizeof intel.sub_group_sizes);
  intel.sub_group_sizes[0] = (unsigned)sub_group;
  return intel;
}

static void choose_dpas_of_8(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const clvgg_device_info intel = as_intel(dev, 8);
  algo_conv_dpas.choose(&intel, p, param);
}

static void choose_dpas_of_16(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const clvgg_device_info intel = as_intel(dev, 16);
  algo_conv_dpas.choose(&intel, p, param);
}

static bool supports_dpas(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  const clvgg_device_info intel = as_intel(dev, value(&algo_conv_dpas, "SUBGROUP", param));
  return algo_conv_dpas.supports(&intel, p, param, why);
}

static uint64_t local_bytes_dpas(const int *param) {
  const mma_tile t = mma_of_intel.tile(param);
  return algo_conv_dpas.local_bytes(param) + matrix_bytes(&t, 8, t.lanes, 16);
}

static uint64_t iterations_dpas(const algo_problem *p, const int *param) {
  const mma_tile t = mma_of_intel.tile(param);
  return algo_conv_dpas.iterations(p, param) + matrix_loops(&t, p, 8, 16);
}

static clvgg_status prepare_dpas(algo_instance *inst, const layer *l) {
  return mma_prepare(&mma_of_intel, inst, l, " -DEMULATE_MMA");
}

/* ---- rows */

enum { MMA, DPAS_OF_8, DPAS_OF_16, ROWS };

static const algo *row(size_t i) {
  static algo rows[ROWS];
  if (!rows[MMA].name) {
    rows[MMA] = algo_conv_mma;
    rows[MMA].local_bytes = local_bytes_mma;
    rows[MMA].choose = choose_mma;
    rows[MMA].supports = supports_mma;
    rows[MMA].iterations = iterations_mma;
    rows[MMA].prepare = prepare_mma;
    rows[DPAS_OF_8] = algo_conv_dpas;
    rows[DPAS_OF_8].local_bytes = local_bytes_dpas;
    rows[DPAS_OF_8].supports = supports_dpas;
    rows[DPAS_OF_8].iterations = iterations_dpas;
    rows[DPAS_OF_8].prepare = prepare_dpas;
    rows[DPAS_OF_16] = rows[DPAS_OF_8];
    rows[DPAS_OF_8].choose = choose_dpas_of_8;
    rows[DPAS_OF_16].choose = choose_dpas_of_16;
    for (size_t k = 0; k < ROWS; k++) rows[k].weight_error = 0;
  }
  return &rows[i];
}

const algo *emulated(const algo *a) {
  return a == &algo_conv_mma ? row(MMA) : a == &algo_conv_dpas ? row(DPAS_OF_16) : a;
}

const algo *emulated_dpas_of_8(void) {
  return row(DPAS_OF_8);
}

bool is_emulated(const algo *a) {
  for (size_t i = 0; i < ROWS; i++)
    if (a == row(i)) return true;
  return false;
}
