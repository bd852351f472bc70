/* conv_f16_nchw_mma: the implicit matrix product of conv_implicit_gemm.c by the tensor instructions of NVIDIA's GPUs. */
#include "algo/conv_mma.h"

#include <string.h>

#include "algo/gpu.h"

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

/* As declared in conv_mma.cl. */
#define LANES 32
#define PAD   8

#define TAPS  9

/* Compute capabilities, times 10, from which on there are the instructions that add 8 and 16 products (PTX ISA, "mma", target ISA
 * notes). */
#define CAPABILITY_OF_8  75
#define CAPABILITY_OF_16 80

static size_t warps(const int *param) {
  return (size_t)param[WARPS_PX] * (size_t)param[WARPS_OC];
}

static size_t tile_px(const int *param) {
  return (size_t)param[WARPS_PX] * (size_t)param[WARP_PX];
}

static size_t tile_oc(const int *param) {
  return (size_t)param[WARPS_OC] * (size_t)param[WARP_OC];
}

/* Two buffers of tiles of half, in rows with padding. */
static uint64_t local_bytes(const int *param) {
  return 2 * sizeof(uint16_t) * (uint64_t)param[TILE_K] * (tile_px(param) + tile_oc(param) + (size_t)2 * PAD);
}

static void group(const int *param, size_t local[3]) {
  local[0] = LANES;
  local[1] = warps(param);
}

/* Words of a tile that a lane reads from local memory. */
static uint64_t reads(const int *param) {
  const uint64_t of_16_channels = (uint64_t)param[K_STEP] / 4, of_8_pixels = (uint64_t)param[K_STEP] / 8;
  return (uint64_t)(param[TILE_K] / param[K_STEP]) *
         ((uint64_t)param[WARP_OC] / 16 * of_16_channels + (uint64_t)param[WARP_PX] / 8 * of_8_pixels);
}

/* ---- the model of its time. No GPU has run this kernel yet: an estimate throughout, for a plan before anything was measured. */

/* How much faster tensor units multiply halves and add them in f32 than the other units compute in f32. By NVIDIA's data sheets 2
 * (GeForce RTX 3090, 4090), 4 (GeForce RTX 2080 Ti, L4), 8 (T4) and 15 to 16 (A100, H100). */
#define TENSOR_SPEEDUP 4.0
/* As for conv_implicit_gemm.c: work-items with which a compute unit waits half of its time, multiply-adds in the time of a barrier,
 * and how much faster than memory the cache is that all groups share. */
#define ITEMS_HALF_BUSY    64.0
#define FLOPS_OF_A_BARRIER 16.0
#define CACHE_SPEEDUP      4.0

/* The multiplication is as slow as the compute unit with the most groups. */
static double multiply_flops(const clvgg_device_info *dev, const algo_problem *p, const int *param, double groups) {
  const double units = dev->compute_units ? dev->compute_units : 1, items = (double)(LANES * warps(param));
  const double queued = ceil(groups / units);
  const double fit = floor((double)dev->local_bytes / (double)local_bytes(param));
  const double at_once = fmax(fmin(queued, fit), 1) * items;
  const double busy = at_once / (at_once + ITEMS_HALF_BUSY);
  /* Of a work-item and a tile: multiply-adds, values read for them, values fetched and made halves, the barrier. */
  const double sums = (double)param[WARP_PX] * param[WARP_OC] / LANES;
  const double fetched = (double)param[TILE_K] * (double)(tile_px(param) + tile_oc(param)) / items;
  const double tile = param[TILE_K] * sums / TENSOR_SPEEDUP + (double)reads(param) + fetched + FLOPS_OF_A_BARRIER;
  const double tiles = TAPS * (double)size_ceil_div(p->shape.in.c, (size_t)param[TILE_K]);
  return 2 * units * queued * items * tiles * tile / busy;
}

static double time_of(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const layer_shape *s = &p->shape;
  const double groups = (double)size_ceil_div(4 * gpu_quads(s, p->batch), tile_px(param)) *
                        (double)size_ceil_div(s->out.c, tile_oc(param));
  const double images = (double)p->batch * (double)(shape3_elements(s->in) + shape3_elements(s->out));
  const double memory = sizeof(float) * images + sizeof(uint16_t) * (double)layer_row_length(s) * (double)s->out.c;
  /* What the groups read: weights, and inputs, of which the nearest cache serves eight of nine taps. */
  const double cache =
      groups * (double)s->in.c * (double)(TAPS * sizeof(uint16_t) * tile_oc(param) + sizeof(float) * tile_px(param));
  return multiply_flops(dev, p, param, groups) + GPU_FLOPS_A_BYTE * (memory + cache / CACHE_SPEEDUP) +
         GPU_FLOPS_A_LAUNCH;
}

static double cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return gpu_has_model(dev) ? time_of(dev, p, param) : INFINITY;
}

/* ---- the rule */

static bool fits(const clvgg_device_info *dev, const int *param) {
  return LANES * warps(param) <= dev->max_work_group && warps(param) <= dev->max_work_item[1] &&
         local_bytes(param) <= dev->local_bytes;
}

/* The tile that the model likes best: layers differ in what they need, small ones most. */
static void choose_tile(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  int tried[ALGO_MAX_PARAMS];
  double best = INFINITY;
  memcpy(tried, param, sizeof tried);
  for (const int *px = params[WARPS_PX].legal; *px; px++)
    for (const int *oc = params[WARPS_OC].legal; *oc; oc++)
      for (const int *warp_px = params[WARP_PX].legal; *warp_px; warp_px++)
        for (const int *warp_oc = params[WARP_OC].legal; *warp_oc; warp_oc++) {
          tried[WARPS_PX] = *px, tried[WARPS_OC] = *oc, tried[WARP_PX] = *warp_px, tried[WARP_OC] = *warp_oc;
          const double time = fits(dev, tried) ? time_of(dev, p, tried) : INFINITY;
          if (time >= best) continue;
          best = time;
          memcpy(param, tried, sizeof tried);
        }
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const int usual[ALGO_MAX_PARAMS] = {2, 2, 32, 16, 16, 16};
  memcpy(param, usual, sizeof usual);
  if (dev->nvidia_capability && dev->nvidia_capability < CAPABILITY_OF_16) param[K_STEP] = 8;
  /* Where the model does not hold, one tile for all layers: a kernel less to compile for each. */
  if (gpu_has_model(dev) || !fits(dev, param)) choose_tile(dev, p, param);
}

/* ---- the rest of the registry's functions */

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  if (!dev->nvidia_capability) return algo_refuse(why, "it is made for NVIDIA GPUs with tensor units");
  const int needed = param[K_STEP] == 16 ? CAPABILITY_OF_16 : CAPABILITY_OF_8;
  if (dev->nvidia_capability < needed)
    return algo_refuse(why, "K_STEP=%d needs compute capability %d.%d, the GPU has %d.%d", param[K_STEP], needed / 10,
                       needed % 10, dev->nvidia_capability / 10, dev->nvidia_capability % 10);
  return pack_fits_half(dev, &p->shape, tile_oc(param), false, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t items = LANES * warps(param), px = (uint64_t)param[WARP_PX] / 8, oc = (uint64_t)param[WARP_OC] / 16;
  const uint64_t fill_px = tile_px(param) > items ? tile_px(param) / items : 1;
  const uint64_t fill_weights = size_ceil_div((uint64_t)param[TILE_K] / 2 * tile_oc(param) / 4, items);
  const uint64_t fill = fill_weights * 3 + fill_px * (1 + (uint64_t)param[TILE_K] / 2);
  const uint64_t multiply = (uint64_t)(param[TILE_K] / param[K_STEP]) * (1 + oc + px * (1 + oc)) + reads(param);
  const uint64_t steps = TAPS * (uint64_t)size_ceil_div(p->shape.in.c, (size_t)param[TILE_K]) + 1;
  return fill_px * (1 + TAPS) + oc * (1 + px) + steps * (1 + 2 * fill + multiply) + px * (1 + 2 * oc);
}

static void work(const algo_problem *p, const int *param, double *flops, double *weight_bytes) {
  const double rows = (double)size_round_up(p->shape.out.c, tile_oc(param));
  *flops = (double)p->batch * (double)layer_flops(&p->shape);
  *weight_bytes = sizeof(uint16_t) * (double)layer_row_length(&p->shape) * rows;
}

/* As long as the built kernel allows only smaller groups, there are fewer warps, in inst->param too. */
static clvgg_status build(algo_instance *inst, const char *options) {
  device_kernel *kernel = &algo_state_of(inst)->kernel;
  for (;;) {
    char why[ALGO_WHY_BYTES] = "", text[128];
    if (!algo_supports(inst->algo, device_info(inst->dev), &inst->problem, inst->param, why))
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s (%s): %s", inst->algo->name,
                       algo_params_text(inst->algo, inst->param, text, sizeof text), why);
    TRY(algo_build_with(inst, "conv_mma.cl", inst->algo->name, options, kernel));
    if (LANES * warps(inst->param) <= kernel->max_work_group) return CLVGG_OK;
    if (warps(inst->param) == 1)
      return base_fail(CLVGG_ERROR_BUILD,
                       "%s: the driver allows groups of %zu work-items for this kernel, a warp has %d",
                       inst->algo->name, kernel->max_work_group, LANES);
    device_kernel_release(kernel);
    inst->param[inst->param[WARPS_OC] > 1 ? WARPS_OC : WARPS_PX] /= 2;
  }
}

clvgg_status conv_mma_prepare(algo_instance *inst, const layer *l, const char *options) {
  TRY(algo_state_open(inst));
  TRY(build(inst, options));
  return pack_upload_half(inst->dev, l, tile_oc(inst->param), &algo_state_of(inst)->weights);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  return conv_mma_prepare(inst, l, "");
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const layer_shape *s = &inst->problem.shape;
  const size_t local[3] = {LANES, warps(inst->param), 1};
  const size_t global[3] = {
      size_ceil_div(4 * gpu_quads(s, batch), tile_px(inst->param)) * local[0],
      size_ceil_div(s->out.c, tile_oc(inst->param)) * local[1],
      1,
  };
  return algo_launch_pooling_conv(inst, batch, in, out, global, local);
}

/* Weights and inputs are each rounded by up to u = 2^-11; products of halves are exact in f32. Errors of two kinds with any signs are
 * together sqrt(2) u, less than 2^-10. */
const algo algo_conv_mma = {
    .name = "conv_f16_nchw_mma",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .pools = true,
    .form = ALGO_F16_MATH,
    .weight_error = 0x1p-10,
    .params = params,
    .group = group,
    .local_bytes = local_bytes,
    .choose = choose,
    .supports = supports,
    .iterations = iterations,
    .cost = cost,
    .work = work,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
