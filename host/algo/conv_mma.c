/* conv_f16_nchw_mma: the implicit matrix product of conv_implicit_gemm.c by the tensor instructions of NVIDIA's GPUs. */
#include <string.h>

#include "algo/mma.h"

enum { WARPS_PX, WARPS_OC, WARP_PX, WARP_OC, TILE_K, K_STEP };

static const algo_param params[] = {
    [WARPS_PX] = {"WARPS_PX", "warps of a group along pixels", {1, 2, 4}},
    [WARPS_OC] = {"WARPS_OC", "warps of a group along output channels", {1, 2, 4}},
    [WARP_PX] = {"WARP_PX", "pixels of a warp", {16, 32, 64}},
    [WARP_OC] = {"WARP_OC", "output channels of a warp", {16, 32}},
    [TILE_K] = {"TILE_K", "input channels of a tile", {16, 32}},
    [K_STEP] = {"K_STEP", "products of a sum that an instruction adds", {8, 16}},
    {0},
};

#define LANES 32

/* Compute capabilities, times 10, from which on there are the instructions that add 8 and 16 products (PTX ISA, "mma", target ISA
 * notes). */
#define CAPABILITY_OF_8  75
#define CAPABILITY_OF_16 80

/* In blocks of 16 channels x 8 pixels. */
static mma_tile tile(const int *param) {
  const size_t px = (size_t)param[WARP_PX] / 8, oc = (size_t)param[WARP_OC] / 16, step = (size_t)param[K_STEP];
  const size_t steps = (size_t)param[TILE_K] / step, reads = steps * (oc * step / 4 + px * step / 8);
  return (mma_tile){.lanes = LANES,
                    .warps_px = (size_t)param[WARPS_PX],
                    .warps_oc = (size_t)param[WARPS_OC],
                    .warp_px = (size_t)param[WARP_PX],
                    .warp_oc = (size_t)param[WARP_OC],
                    .k = (size_t)param[TILE_K],
                    .blocks = px * oc,
                    .reads = reads,
                    .loops = steps * (1 + oc + px + px * oc) + reads};
}

/* Speeds by NVIDIA's data sheets: 2 times as fast (GeForce RTX 3090, 4090), 4 (GeForce RTX 2080 Ti, L4), 8 (T4) and 15 to 16 (A100,
 * H100). */
const mma_instruction mma_of_nvidia = {.params = params, .modelled = TILE_K, .tile = tile, .speedup = 4, .option = ""};

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const int usual[ALGO_MAX_PARAMS] = {2, 2, 32, 16, 16, 16};
  memcpy(param, usual, sizeof usual);
  if (dev->nvidia_capability && dev->nvidia_capability < CAPABILITY_OF_16) param[K_STEP] = 8;
  mma_choose(&mma_of_nvidia, dev, p, param);
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  if (!dev->nvidia_capability) return algo_refuse(why, "it is made for NVIDIA GPUs with tensor units");
  const int needed = param[K_STEP] == 16 ? CAPABILITY_OF_16 : CAPABILITY_OF_8;
  if (dev->nvidia_capability < needed)
    return algo_refuse(why, "K_STEP=%d needs compute capability %d.%d, the GPU has %d.%d", param[K_STEP], needed / 10,
                       needed % 10, dev->nvidia_capability / 10, dev->nvidia_capability % 10);
  return mma_fits_half(&mma_of_nvidia, dev, p, param, why);
}

MMA_FUNCTIONS(mma_of_nvidia)

const algo algo_conv_mma = MMA_ROW("conv_f16_nchw_mma");
