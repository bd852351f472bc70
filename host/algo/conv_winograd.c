/* conv_f32_nchwc_winograd and conv_f32_nchwc_winograd_fused: fewer multiplications, for CPUs. See cl/conv_winograd.cl. */
#include <math.h>

#include "algo/winograd.h"
#include "algo/winograd_weights.h"

static const algo_param staged_params[] = {WINOGRAD_PARAMS, {0}};
static const algo_param fused_params[] = {
    WINOGRAD_PARAMS,
    [STRIP] = {"STRIP", "blocks of tiles that a group takes at once", {1, 2, 3, 4}, .launched = true},
    {0}};

/* ---- the model of time: winograd.h has its units. */

/* A strip's scratch that counts as beyond the cache once, in proportion; and how often at most. */
#define SPILT_BYTES 2e6
#define MOST_SPILT  2.5

static size_t fused_places(const int *param, size_t tiles) {
  return size_round_up(tiles, (size_t)param[TILES]);
}

static double weight_bytes(const geometry *g, const int *param) {
  return 4.0 * (double)(g->freqs * g->ic_blocks * g->oc_groups * (size_t)param[OC_BLOCKS]) *
         (double)(g->block * g->block);
}

static void staged_work(const algo_problem *p, const int *param, double *flops, double *weights) {
  const geometry g = winograd_measure(p, param);
  *flops = winograd_work(p, param, winograd_places(param, p->batch * g.tiles_image));
  *weights = weight_bytes(&g, param);
}

static void fused_work(const algo_problem *p, const int *param, double *flops, double *weights) {
  const geometry g = winograd_measure(p, param);
  *flops = winograd_work(p, param, fused_places(param, p->batch * g.tiles_image));
  *weights = weight_bytes(&g, param);
}

static double staged_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const geometry g = winograd_measure(p, param);
  const size_t tiles = p->batch * g.tiles_image;
  const double scratch = 4.0 * (double)(g.freqs * tiles * g.block) * (double)(g.ic_blocks + g.oc_blocks);
  const double multiply = winograd_multiply_cost(&g, param, winograd_places(param, tiles));
  return 3 * FLOPS_A_LAUNCH + blocked_overlap(p, multiply, weight_bytes(&g, param)) +
         winograd_transform_flops(&g, param, tiles) + winograd_scratch_flops(p, winograd_beyond_caches(dev, scratch));
}

/* A slot of the fused form's scratch: what a strip has at one place of its tiles. */
static size_t slot_floats(const geometry *g, const int *param) {
  const size_t oc_blocks = g->oc_groups * (size_t)param[OC_BLOCKS];
  const size_t channels = (g->ic_blocks > oc_blocks ? g->ic_blocks : oc_blocks) * g->block;
  return (size_t)param[STRIP] * (size_t)param[TILES] * channels + g->block;
}

/* A lane's operations for each byte of the weights that every strip but the first reads again. A strip of one block uses each only once
 * when it is in the nearest cache, and is too short to ask for all the next ones in time. */
static double again_lane_flops(const int *param, bool cached) {
  if (param[STRIP] == 1) return cached ? 0.044 : 0.125;
  return cached ? 0 : 0.019;
}

static double fused_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const geometry g = winograd_measure(p, param);
  const size_t tiles = p->batch * g.tiles_image, groups = blocked_groups(dev);
  const size_t share =
      size_ceil_div(size_ceil_div(tiles, (size_t)param[TILES]), groups); /* blocks of the busiest group */
  const double strips = (double)(groups * size_ceil_div(share, (size_t)param[STRIP]));
  const double strip_bytes = 4.0 * (double)((g.freqs + 1) * slot_floats(&g, param));
  const double weights = weight_bytes(&g, param);
  const bool cached = weights + strip_bytes <= CACHE_BYTES;
  /* The longer the strip, the more of its scratch the weights drive out of the cache. */
  const double scratch = strip_bytes / (double)param[STRIP] * (double)(share * groups);
  const double spilt = scratch * fmin(MOST_SPILT, strip_bytes / SPILT_BYTES);
  const size_t busiest = share * groups * (size_t)param[TILES];
  const double multiply = winograd_multiply_cost(&g, param, busiest);
  return FLOPS_A_LAUNCH + blocked_overlap(p, multiply, weights) + winograd_transform_flops(&g, param, busiest) +
         again_lane_flops(param, cached) * (double)p->block * weights * (strips - 1) + winograd_scratch_flops(p, spilt);
}

/* ---- choosing */

static void choose_staged(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  static const int wide[] = {14, 13, 12, 8, 0}, narrow[] = {6, 4, 0}, none[] = {1, 0};
  winograd_choose(dev, p, p->block == 16 ? wide : narrow, none, staged_cost, param);
  param[STRIP] = 0;
}

static void choose_fused(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  static const int wide[] = {14, 8, 0}, narrow[] = {6, 4, 0}, strips[] = {1, 2, 3, 4, 0};
  winograd_choose(dev, p, p->block == 16 ? wide : narrow, strips, fused_cost, param);
}

/* Images that the staged form takes at a time. */
static size_t staged_images(const geometry *g, const algo_problem *p, const int *param) {
  return winograd_images(g, p, param, g->oc_groups * (size_t)param[OC_BLOCKS] * g->block);
}

static size_t staged_bytes(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  (void)dev;
  const geometry g = winograd_measure(p, param);
  const size_t tiles = size_round_up(staged_images(&g, p, param) * g.tiles_image, (size_t)param[TILES]);
  return g.freqs * tiles * (g.ic_blocks + g.oc_groups * (size_t)param[OC_BLOCKS]) * g.block * sizeof(float);
}

static size_t fused_bytes(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const geometry g = winograd_measure(p, param);
  return blocked_groups(dev) * (g.freqs + 1) * slot_floats(&g, param) * sizeof(float);
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  if (!blocked_supported(dev, p, why)) return false;
  const geometry g = winograd_measure(p, param);
  if (weight_bytes(&g, param) > (double)dev->max_alloc_bytes)
    return algo_refuse(why, "transformed weights of %.0f MiB exceed the largest buffer of %llu MiB",
                       weight_bytes(&g, param) / 1048576, (unsigned long long)(dev->max_alloc_bytes >> 20));
  return true;
}

static uint64_t staged_iterations(const algo_problem *p, const int *param) {
  const geometry g = winograd_measure(p, param);
  const uint64_t blocks = size_ceil_div(p->batch * g.tiles_image, (size_t)param[TILES]);
  /* The multiplication's work-item: its blocks of tiles, input channels, and the unrolled loops inside. */
  return blocks * g.ic_blocks * g.block * (1 + (uint64_t)param[TILES] * (1 + (uint64_t)param[OC_BLOCKS]));
}

static uint64_t fused_iterations(const algo_problem *p, const int *param) {
  const geometry g = winograd_measure(p, param);
  return g.oc_groups * g.freqs * staged_iterations(p, param);
}

/* (freqs, oc_groups, ic_blocks * block, OC_BLOCKS * block) */
static clvgg_status upload_weights(algo_instance *inst, const layer *l, algo_state *state) {
  const geometry g = winograd_measure(&inst->problem, inst->param);
  const size_t step = (size_t)inst->param[OC_BLOCKS] * g.block, ics = g.ic_blocks * g.block;
  const winograd_order order = {.m = inst->param[M],
                                .in_channels = ics,
                                .groups = g.oc_groups,
                                .group = step,
                                .group_stride = ics * step,
                                .ic_stride = step,
                                .freq_stride = g.oc_groups * ics * step};
  return winograd_upload(inst->dev, l, &order, &state->weights);
}

/* ---- running */

static clvgg_status prepare_staged(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  TRY(blocked_build(inst, "conv_winograd.cl", "conv_f32_nchwc_winograd_input", "", &state->prologue));
  TRY(blocked_build(inst, "conv_winograd.cl", "conv_f32_nchwc_winograd_multiply", "", &state->kernel));
  TRY(blocked_build(inst, "conv_winograd.cl", "conv_f32_nchwc_winograd_output", "", &state->epilogue));
  return upload_weights(inst, l, state);
}

static clvgg_status prepare_fused(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  TRY(blocked_build(inst, "conv_winograd.cl", "conv_f32_nchwc_winograd_fused", "", &state->kernel));
  return upload_weights(inst, l, state);
}

static const size_t one[3] = {1, 1, 1};

/* images images from the first on; offsets of whole images are in elements. */
static clvgg_status enqueue_part(algo_instance *inst, size_t first, size_t images, const device_buffer *in,
                                 const device_buffer *out, const device_buffer *workspace) {
  const algo_state *state = algo_state_of(inst);
  const layer_shape *s = &inst->problem.shape;
  const geometry g = winograd_measure(&inst->problem, inst->param);
  const size_t tiles = images * g.tiles_image;
  const device_arg input[] = {arg_buffer(in->mem),  arg_buffer(workspace->mem), arg_int(first),
                              arg_int(g.ic_blocks), arg_int(s->in.h),           arg_int(s->in.w),
                              arg_int(g.tiles_y),   arg_int(g.tiles_x),         arg_int(tiles)};
  TRY(device_launch(inst->dev, &state->prologue, input, COUNT_OF(input), (size_t[]){g.tiles_y, g.ic_blocks, images},
                    one));
  const device_arg multiply[] = {arg_buffer(workspace->mem), arg_buffer(state->weights.panel[0].mem),
                                 arg_int(g.ic_blocks), arg_int(g.oc_groups), arg_int(tiles)};
  TRY(device_launch(inst->dev, &state->kernel, multiply, COUNT_OF(multiply), (size_t[]){g.oc_groups, g.freqs, 1}, one));
  const device_arg output[] = {arg_buffer(workspace->mem), arg_buffer(state->weights.bias.mem),
                               arg_buffer(out->mem),       arg_int(first),
                               arg_int(g.ic_blocks),       arg_int(g.oc_blocks),
                               arg_int(g.oc_groups),       arg_int(s->in.h),
                               arg_int(s->in.w),           arg_int(g.tiles_y),
                               arg_int(g.tiles_x),         arg_int(tiles),
                               arg_int(s->pool),           arg_float(algo_lowest(s))};
  return device_launch(inst->dev, &state->epilogue, output, COUNT_OF(output),
                       (size_t[]){g.tiles_y, g.oc_blocks, images}, one);
}

static clvgg_status enqueue_staged(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                                   const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const geometry g = winograd_measure(&inst->problem, inst->param);
  const size_t most = staged_images(&g, &inst->problem, inst->param);
  for (size_t first = 0; first < batch; first += most)
    TRY(enqueue_part(inst, first, batch - first < most ? batch - first : most, in, out, workspace));
  return CLVGG_OK;
}

static clvgg_status enqueue_fused(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                                  const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const algo_state *state = algo_state_of(inst);
  const layer_shape *s = &inst->problem.shape;
  const geometry g = winograd_measure(&inst->problem, inst->param);
  const device_arg args[] = {arg_buffer(in->mem),
                             arg_buffer(state->weights.panel[0].mem),
                             arg_buffer(state->weights.bias.mem),
                             arg_buffer(out->mem),
                             arg_buffer(workspace->mem),
                             arg_int(g.ic_blocks),
                             arg_int(g.oc_blocks),
                             arg_int(g.oc_groups),
                             arg_int(s->in.h),
                             arg_int(s->in.w),
                             arg_int(g.tiles_y),
                             arg_int(g.tiles_x),
                             arg_int(batch * g.tiles_image),
                             arg_int((size_t)inst->param[STRIP]),
                             arg_int(s->pool),
                             arg_float(algo_lowest(s))};
  return device_launch(inst->dev, &state->kernel, args, COUNT_OF(args),
                       (size_t[]){blocked_groups(device_info(inst->dev)), 1, 1}, one);
}

const algo algo_conv_winograd = {
    .name = "conv_f32_nchwc_winograd",
    .op = LAYER_CONV,
    .in = ALGO_NCHWC,
    .out = ALGO_NCHWC,
    .error_growth = 8, /* F(6, 3)'s constants spread over three orders of magnitude */
    .pools = true,
    .params = staged_params,
    .registers = winograd_registers,
    .choose = choose_staged,
    .supports = supports,
    .iterations = staged_iterations,
    .cost = staged_cost,
    .work = staged_work,
    .workspace_bytes = staged_bytes,
    .prepare = prepare_staged,
    .enqueue = enqueue_staged,
    .release = algo_state_release,
};

const algo algo_conv_winograd_fused = {
    .name = "conv_f32_nchwc_winograd_fused",
    .op = LAYER_CONV,
    .in = ALGO_NCHWC,
    .out = ALGO_NCHWC,
    .error_growth = 8, /* F(6, 3)'s constants spread over three orders of magnitude */
    .pools = true,
    .params = fused_params,
    .registers = winograd_registers,
    .choose = choose_fused,
    .supports = supports,
    .iterations = fused_iterations,
    .cost = fused_cost,
    .work = fused_work,
    .workspace_bytes = fused_bytes,
    .prepare = prepare_fused,
    .enqueue = enqueue_fused,
    .release = algo_state_release,
};
