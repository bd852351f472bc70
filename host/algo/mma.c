/* The host half of conv_mma.cl, but for what its instructions do differently (conv_mma.c, conv_dpas.c). */
#include "algo/mma.h"

#include <stdio.h>
#include <string.h>

#include "algo/gpu.h"

enum { WARPS_PX, WARPS_OC };

/* As declared in conv_mma.cl. */
#define PAD  8

#define TAPS 9

/* Two buffers of tiles of half, in rows with padding. */
static uint64_t bytes_of(const mma_tile *t) {
  return 2 * sizeof(uint16_t) * (uint64_t)t->k * (mma_tile_px(t) + mma_tile_oc(t) + (size_t)2 * PAD);
}

/* Of a work-item. */
static size_t sums_of(const mma_tile *t) {
  return t->warp_px * t->warp_oc / t->lanes;
}

void mma_group(const mma_instruction *in, const int *param, size_t local[3]) {
  const mma_tile t = in->tile(param);
  local[0] = t.lanes;
  local[1] = mma_warps(&t);
}

uint64_t mma_local_bytes(const mma_instruction *in, const int *param) {
  const mma_tile t = in->tile(param);
  return bytes_of(&t);
}

/* ---- the model of its time. No GPU has run this kernel yet: an estimate throughout, for a plan before anything was measured. */

/* Multiply-adds in the time of a barrier, as for conv_implicit_gemm.c. */
#define FLOPS_OF_A_BARRIER 16.0

static double multiply_flops(const mma_tile *t, double speedup, const clvgg_device_info *dev, const algo_problem *p,
                             double groups) {
  const double items = (double)(t->lanes * mma_warps(t)), k = (double)t->k;
  /* Of a work-item and a tile: multiply-adds, values read for them, values fetched and made halves, the barrier. */
  const double fetched = k * (double)(mma_tile_px(t) + mma_tile_oc(t)) / items;
  const double tile = k * (double)sums_of(t) / speedup + (double)t->reads + fetched + FLOPS_OF_A_BARRIER;
  const double tiles = TAPS * (double)size_ceil_div(p->shape.in.c, t->k);
  const double resident = floor((double)dev->local_bytes / (double)bytes_of(t));
  return 2 * groups * items * tiles * tile * gpu_waiting(dev, groups, items, resident);
}

static double time_of(const mma_instruction *in, const clvgg_device_info *dev, const algo_problem *p,
                      const int *param) {
  const mma_tile t = in->tile(param);
  const layer_shape *s = &p->shape;
  const double groups = (double)size_ceil_div(4 * gpu_quads(s, p->batch), mma_tile_px(&t)) *
                        (double)size_ceil_div(s->out.c, mma_tile_oc(&t));
  /* What the groups read: weights, and inputs, of which the nearest cache serves eight of nine taps. */
  const double cache =
      groups * (double)s->in.c * (double)(TAPS * sizeof(uint16_t) * mma_tile_oc(&t) + sizeof(float) * mma_tile_px(&t));
  const double bytes = gpu_conv_bytes(p, sizeof(uint16_t)) + cache / GPU_CACHE_SPEEDUP;
  return multiply_flops(&t, in->speedup, dev, p, groups) + GPU_FLOPS_A_BYTE * bytes + GPU_FLOPS_A_LAUNCH;
}

double mma_cost(const mma_instruction *in, const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return gpu_has_model(dev) ? time_of(in, dev, p, param) : INFINITY;
}

/* ---- the rule */

/* Sums of a work-item that leave it registers for the rest: it has 255 on NVIDIA's GPUs, 128 on Intel's. */
#define MOST_SUMS 64

static bool fits(const mma_instruction *in, const clvgg_device_info *dev, const int *param) {
  const mma_tile t = in->tile(param);
  return t.lanes * mma_warps(&t) <= dev->max_work_group && mma_warps(&t) <= dev->max_work_item[1] &&
         bytes_of(&t) <= dev->local_bytes && sums_of(&t) <= MOST_SUMS;
}

/* The next combination of the first count parameters; which[] are places in their lists. False after the last. */
static bool next_combination(const algo_param *params, size_t count, size_t *which, int *param) {
  for (size_t i = count; i-- > 0;) {
    if (params[i].legal[++which[i]] == 0) which[i] = 0;
    param[i] = params[i].legal[which[i]];
    if (which[i] > 0) return true;
  }
  return false;
}

/* The tile that the model likes best: layers differ in what they need, small ones most. */
static void choose_tile(const mma_instruction *in, const clvgg_device_info *dev, const algo_problem *p, int *param) {
  size_t which[ALGO_MAX_PARAMS] = {0};
  int tried[ALGO_MAX_PARAMS];
  double best = INFINITY;
  memcpy(tried, param, sizeof tried);
  for (size_t i = 0; i < in->modelled; i++) tried[i] = in->params[i].legal[0];
  do {
    const double time = fits(in, dev, tried) ? time_of(in, dev, p, tried) : INFINITY;
    if (time >= best) continue;
    best = time;
    memcpy(param, tried, sizeof tried);
  } while (next_combination(in->params, in->modelled, which, tried));
}

void mma_choose(const mma_instruction *in, const clvgg_device_info *dev, const algo_problem *p, int *param) {
  /* Where the model does not hold, one tile for all layers: a kernel less to compile for each. */
  if (gpu_has_model(dev) || !fits(in, dev, param)) choose_tile(in, dev, p, param);
}

/* ---- the rest of the registry's functions */

bool mma_fits_half(const mma_instruction *in, const clvgg_device_info *dev, const algo_problem *p, const int *param,
                   char *why) {
  const mma_tile t = in->tile(param);
  return pack_fits_half(dev, &p->shape, mma_tile_oc(&t), false, why);
}

uint64_t mma_iterations(const mma_instruction *in, const algo_problem *p, const int *param) {
  const mma_tile t = in->tile(param);
  const uint64_t items = t.lanes * mma_warps(&t);
  const uint64_t fill_px = mma_tile_px(&t) > items ? mma_tile_px(&t) / items : 1;
  const uint64_t fill_weights = size_ceil_div(t.k / 2 * mma_tile_oc(&t) / 4, items);
  const uint64_t fill = fill_weights * 3 + fill_px * (1 + (uint64_t)t.k / 2);
  const uint64_t steps = TAPS * (uint64_t)size_ceil_div(p->shape.in.c, t.k) + 1;
  /* Each block of sums begins once; a square is four sums, of a channel of its own at most. */
  const uint64_t squares = sums_of(&t) / 4;
  return fill_px * (1 + TAPS) + 2 * t.blocks + steps * (1 + 2 * fill + t.loops) + 2 * squares;
}

void mma_work(const mma_instruction *in, const algo_problem *p, const int *param, double *flops, double *weight_bytes) {
  const mma_tile t = in->tile(param);
  const double rows = (double)size_round_up(p->shape.out.c, mma_tile_oc(&t));
  *flops = (double)p->batch * (double)layer_flops(&p->shape);
  *weight_bytes = sizeof(uint16_t) * (double)layer_row_length(&p->shape) * rows;
}

/* As long as the built kernel allows only smaller groups, there are fewer warps, in inst->param too. */
static clvgg_status build(const mma_instruction *in, algo_instance *inst, const char *options) {
  device_kernel *kernel = &algo_state_of(inst)->kernel;
  for (;;) {
    char why[ALGO_WHY_BYTES] = "", text[128];
    if (!algo_supports(inst->algo, device_info(inst->dev), &inst->problem, inst->param, why))
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s (%s): %s", inst->algo->name,
                       algo_params_text(inst->algo, inst->param, text, sizeof text), why);
    TRY(algo_build_with(inst, "conv_mma.cl", inst->algo->name, options, kernel));
    const mma_tile t = in->tile(inst->param);
    if (t.lanes * mma_warps(&t) <= kernel->max_work_group) return CLVGG_OK;
    if (mma_warps(&t) == 1)
      return base_fail(CLVGG_ERROR_BUILD,
                       "%s: the driver allows groups of %zu work-items for this kernel, a warp has %zu",
                       inst->algo->name, kernel->max_work_group, t.lanes);
    device_kernel_release(kernel);
    inst->param[inst->param[WARPS_OC] > 1 ? WARPS_OC : WARPS_PX] /= 2;
  }
}

clvgg_status mma_prepare(const mma_instruction *in, algo_instance *inst, const layer *l, const char *more) {
  char options[64];
  snprintf(options, sizeof options, "%s%s", in->option, more);
  TRY(algo_state_open(inst));
  TRY(build(in, inst, options));
  const mma_tile t = in->tile(inst->param);
  return pack_upload_half(inst->dev, l, mma_tile_oc(&t), &algo_state_of(inst)->weights);
}

clvgg_status mma_enqueue(const mma_instruction *in, algo_instance *inst, size_t batch, const device_buffer *images,
                         const device_buffer *out, const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, images, out, workspace));
  const mma_tile t = in->tile(inst->param);
  const layer_shape *s = &inst->problem.shape;
  const size_t local[3] = {t.lanes, mma_warps(&t), 1};
  const size_t global[3] = {
      size_ceil_div(4 * gpu_quads(s, batch), mma_tile_px(&t)) * local[0],
      size_ceil_div(s->out.c, mma_tile_oc(&t)) * local[1],
      1,
  };
  return algo_launch_pooling_conv(inst, batch, images, out, global, local);
}
