/* conv_f16_nchw_dpas: the implicit matrix product of conv_implicit_gemm.c by the XMX engines of Intel's GPUs, whose instruction is called
 * dpas, "dot product accumulate systolic". OpenCL has it as cl_intel_subgroup_matrix_multiply_accumulate. */
#include <string.h>

#include "algo/mma.h"

enum { WARPS_PX, WARPS_OC, BLOCKS_OC, TILE_K, SUBGROUP };

static const algo_param params[] = {
    [WARPS_PX] = {"WARPS_PX", "sub-groups of a group along pixels", {1, 2, 4}},
    [WARPS_OC] = {"WARPS_OC", "sub-groups of a group along output channels", {1, 2, 4}},
    [BLOCKS_OC] = {"BLOCKS_OC", "blocks of eight output channels of a sub-group", {1, 2, 4}},
    [TILE_K] = {"TILE_K", "input channels of a tile", {16, 32}},
    [SUBGROUP] = {"SUBGROUP", "work-items of a sub-group", {8, 16}},
    {0},
};

/* As declared in conv_mma.cl: products of a sum that an instruction adds, channels of a block, and blocks of pixels of a sub-group. */
#define K_STEP    16
#define BLOCK_OC  8
#define BLOCKS_PX 4

/* Of a K_STEP a work-item reads a word for two of a pixel's values, and an eighth or a sixteenth of eight channels' weights. */
static mma_tile tile(const int *param) {
  const size_t lanes = (size_t)param[SUBGROUP], oc = (size_t)param[BLOCKS_OC], steps = (size_t)param[TILE_K] / K_STEP;
  return (mma_tile){.lanes = lanes,
                    .warps_px = (size_t)param[WARPS_PX],
                    .warps_oc = (size_t)param[WARPS_OC],
                    .warp_px = BLOCKS_PX * lanes,
                    .warp_oc = BLOCK_OC * oc,
                    .k = (size_t)param[TILE_K],
                    .blocks = BLOCKS_PX * oc,
                    .reads = steps * (BLOCKS_PX * K_STEP / 2 + oc * BLOCK_OC * K_STEP / 2 / lanes),
                    .loops = steps * (1 + oc + 2 * (1 + K_STEP / 2 + oc))};
}

/* Speeds by the widths of the matrix and vector engines that Intel publishes, of halves and of floats: 8 times as fast (Xe-HPG: 1024
 * bits and 256; Xe2: 2048 and 512), 16 (Xe-HPC: 4096 and 512). */
const mma_instruction mma_of_intel = {
    .params = params, .modelled = TILE_K, .tile = tile, .speedup = 8, .option = " -DDPAS"};

/* The least that the device has; 0: it does not tell. */
static unsigned smallest_sub_group(const clvgg_device_info *dev) {
  unsigned least = 0;
  for (size_t i = 0; i < COUNT_OF(dev->sub_group_sizes) && dev->sub_group_sizes[i]; i++)
    if (least == 0 || dev->sub_group_sizes[i] < least) least = dev->sub_group_sizes[i];
  return least;
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const int usual[ALGO_MAX_PARAMS] = {2, 2, 2, 16, 16};
  memcpy(param, usual, sizeof usual);
  if (smallest_sub_group(dev) == 8) param[SUBGROUP] = 8;
  mma_choose(&mma_of_intel, dev, p, param);
}

/* The instruction is defined for sub-groups of the smallest size only (the extension's specification, "New OpenCL C Functions"). */
static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  if (!dev->intel_matrix_multiply)
    return algo_refuse(why, "it is made for Intel GPUs with cl_intel_subgroup_matrix_multiply_accumulate");
  const unsigned least = smallest_sub_group(dev);
  if ((unsigned)param[SUBGROUP] != least)
    return algo_refuse(why, "SUBGROUP=%d, but the instruction needs the device's smallest sub-groups, of %u",
                       param[SUBGROUP], least);
  return mma_fits_half(&mma_of_intel, dev, p, param, why);
}

MMA_FUNCTIONS(mma_of_intel)

const algo algo_conv_dpas = MMA_ROW("conv_f16_nchw_dpas");
