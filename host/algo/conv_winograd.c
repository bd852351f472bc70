/* conv_f32_nchwc_winograd and conv_f32_nchwc_winograd_fused: fewer multiplications, for CPUs; and both with products of bf16,
 * conv_bf16_nchwc_winograd and conv_bf16_nchwc_winograd_fused. See cl/conv_winograd.cl. */
#include "algo/conv_winograd.h"

#include <math.h>
#include <stdio.h>

#include "algo/winograd.h"
#include "algo/winograd_weights.h"

#define STRIPS [STRIP] = {"STRIP", "blocks of tiles that a group takes at once", {1, 2, 3, 4}, .launched = true}
static const algo_param staged_f32_params[] = {WINOGRAD_PARAMS(2, 4, 6), {0}};
static const algo_param fused_f32_params[] = {WINOGRAD_PARAMS(2, 4, 6), STRIPS, {0}};
/* F(6, 3) magnifies errors of bf16 too much. */
static const algo_param staged_bf16_params[] = {WINOGRAD_PARAMS(2, 4), {0}};
static const algo_param fused_bf16_params[] = {WINOGRAD_PARAMS(2, 4), STRIPS, {0}};

/* What differs between the two: words of 32 bits that a block of input channels takes in transformed inputs and weights. */
static size_t words(const geometry *g, algo_form form) {
  return form == ALGO_BF16_MATH ? g->block / 2 : g->block;
}

/* ---- the model of time: winograd.h has its units. */

/* A strip's scratch that counts as beyond the cache once, in proportion; and how often at most. */
#define SPILT_BYTES 2e6
#define MOST_SPILT  2.5
/* Of bf16's, since transformed inputs are half as large, and weights that drive it out, too; and operations for each byte of the staged form's,
 * half of which another core has written: the faster the products, the more it shows. Fitted to VGG-16's layers on Zen 5. */
#define BF16_SPILT        0.5
#define BF16_FLOPS_A_BYTE 10.0

static size_t fused_places(const int *param, size_t tiles) {
  return size_round_up(tiles, (size_t)param[TILES]);
}

static double weight_bytes(const geometry *g, const int *param, algo_form form) {
  return 4.0 * (double)(g->freqs * g->ic_blocks * g->oc_groups * (size_t)param[OC_BLOCKS]) *
         (double)(words(g, form) * g->block);
}

/* vdpbf16ps does two products in the time of one. */
static double multiply_cost(const geometry *g, const int *param, algo_form form, size_t places) {
  return winograd_multiply_cost(g, param, places) * (form == ALGO_BF16_MATH ? 0.5 : 1);
}

static void staged_work(const algo_problem *p, const int *param, algo_form form, double *flops, double *weights) {
  const geometry g = winograd_measure(p, param);
  *flops = winograd_work(p, param, winograd_places(param, p->batch * g.tiles_image));
  *weights = weight_bytes(&g, param, form);
}

static void fused_work(const algo_problem *p, const int *param, algo_form form, double *flops, double *weights) {
  const geometry g = winograd_measure(p, param);
  *flops = winograd_work(p, param, fused_places(param, p->batch * g.tiles_image));
  *weights = weight_bytes(&g, param, form);
}

static double staged_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form) {
  const geometry g = winograd_measure(p, param);
  const size_t tiles = p->batch * g.tiles_image;
  const double scratch =
      4.0 * (double)(g.freqs * tiles) * (double)(g.ic_blocks * words(&g, form) + g.oc_blocks * g.block);
  const double multiply = multiply_cost(&g, param, form, winograd_places(param, tiles));
  return 3 * FLOPS_A_LAUNCH + blocked_overlap(p, multiply, weight_bytes(&g, param, form)) +
         winograd_transform_flops(&g, param, tiles) + winograd_scratch_flops(p, winograd_beyond_caches(dev, scratch)) +
         (form == ALGO_BF16_MATH ? BF16_FLOPS_A_BYTE * scratch : 0);
}

/* A slot of the fused form's scratch: what a strip has at one place of its tiles. */
static size_t slot_floats(const geometry *g, const int *param, algo_form form) {
  const size_t in = size_round_up(g->ic_blocks * words(g, form), g->block);
  const size_t out = g->oc_groups * (size_t)param[OC_BLOCKS] * g->block;
  return (size_t)param[STRIP] * (size_t)param[TILES] * (in > out ? in : out) + g->block;
}

/* A lane's operations for each byte of the weights that every strip but the first reads again. A strip of one block uses each only once
 * when it is in the nearest cache, and is too short to ask for all the next ones in time. */
static double again_lane_flops(const int *param, bool cached) {
  if (param[STRIP] == 1) return cached ? 0.044 : 0.125;
  return cached ? 0 : 0.019;
}

static double fused_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form) {
  const geometry g = winograd_measure(p, param);
  const size_t tiles = p->batch * g.tiles_image, groups = blocked_groups(dev);
  const size_t share =
      size_ceil_div(size_ceil_div(tiles, (size_t)param[TILES]), groups); /* blocks of the busiest group */
  const double strips = (double)(groups * size_ceil_div(share, (size_t)param[STRIP]));
  const double strip_bytes = 4.0 * (double)((g.freqs + 1) * slot_floats(&g, param, form));
  const double weights = weight_bytes(&g, param, form);
  const bool cached = weights + strip_bytes <= CACHE_BYTES;
  /* The longer the strip, the more of its scratch the weights drive out of the cache. */
  const double scratch = strip_bytes / (double)param[STRIP] * (double)(share * groups);
  const double spilt =
      scratch * fmin(MOST_SPILT, strip_bytes / SPILT_BYTES) * (form == ALGO_BF16_MATH ? BF16_SPILT : 1);
  const size_t busiest = share * groups * (size_t)param[TILES];
  const double multiply = multiply_cost(&g, param, form, busiest);
  return FLOPS_A_LAUNCH + blocked_overlap(p, multiply, weights) + winograd_transform_flops(&g, param, busiest) +
         again_lane_flops(param, cached) * (double)p->block * weights * (strips - 1) + winograd_scratch_flops(p, spilt);
}

/* ---- choosing */

typedef double cost_function(const clvgg_device_info *dev, const algo_problem *p, const int *param);

static void choose_staged(const clvgg_device_info *dev, const algo_problem *p, const algo_param *params,
                          cost_function *cost, int *param) {
  static const int wide[] = {14, 13, 12, 8, 0}, narrow[] = {6, 4, 0}, none[] = {1, 0};
  winograd_choose(dev, p, params, p->block == 16 ? wide : narrow, none, cost, param);
  param[STRIP] = 0;
}

static void choose_fused(const clvgg_device_info *dev, const algo_problem *p, const algo_param *params,
                         cost_function *cost, int *param) {
  static const int wide[] = {14, 13, 8, 0}, narrow[] = {6, 4, 0}, strips[] = {1, 2, 3, 4, 0};
  winograd_choose(dev, p, params, p->block == 16 ? wide : narrow, strips, cost, param);
}

/* Images that the staged form takes at a time. */
static size_t staged_images(const geometry *g, const algo_problem *p, const int *param) {
  return winograd_images(g, p, param, g->oc_groups * (size_t)param[OC_BLOCKS] * g->block);
}

static size_t staged_bytes(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form) {
  (void)dev;
  const geometry g = winograd_measure(p, param);
  const size_t tiles = size_round_up(staged_images(&g, p, param) * g.tiles_image, (size_t)param[TILES]);
  const size_t in = g.ic_blocks * words(&g, form), out = g.oc_groups * (size_t)param[OC_BLOCKS] * g.block;
  return g.freqs * tiles * (in + out) * sizeof(float);
}

static size_t fused_bytes(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form) {
  const geometry g = winograd_measure(p, param);
  return blocked_groups(dev) * (g.freqs + 1) * slot_floats(&g, param, form) * sizeof(float);
}

static bool fits(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form, char *why) {
  if (!blocked_supported(dev, p, why)) return false;
  if (form == ALGO_BF16_MATH && !dev->avx512_bf16)
    return algo_refuse(why, "it needs AVX512-BF16, which the device is not known to have");
  const geometry g = winograd_measure(p, param);
  const double bytes = weight_bytes(&g, param, form);
  if (bytes > (double)dev->max_alloc_bytes)
    return algo_refuse(why, "transformed weights of %.0f MiB exceed the largest buffer of %llu MiB", bytes / 1048576,
                       (unsigned long long)(dev->max_alloc_bytes >> 20));
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

/* (freqs, oc_groups, ic_blocks * words, OC_BLOCKS * block) */
static clvgg_status upload_weights(algo_instance *inst, const layer *l, algo_state *state) {
  const geometry g = winograd_measure(&inst->problem, inst->param);
  const size_t step = (size_t)inst->param[OC_BLOCKS] * g.block, rows = g.ic_blocks * words(&g, inst->algo->form);
  const winograd_order order = {.m = inst->param[M],
                                .bf16 = inst->algo->form == ALGO_BF16_MATH,
                                .in_channels = g.ic_blocks * g.block,
                                .groups = g.oc_groups,
                                .group = step,
                                .group_stride = rows * step,
                                .ic_stride = step,
                                .freq_stride = g.oc_groups * rows * step};
  return winograd_upload(inst->dev, l, &order, &state->weights);
}

/* ---- running */

/* The kernel that is called as the algorithm and then part. */
static clvgg_status build(algo_instance *inst, const char *part, const char *options, device_kernel *kernel) {
  char name[64], more[64];
  snprintf(name, sizeof name, "%s%s", inst->algo->name, part);
  snprintf(more, sizeof more, "%s%s", inst->algo->form == ALGO_BF16_MATH ? " -DBF16" : "", options);
  return blocked_build(inst, "conv_winograd.cl", name, more, kernel);
}

clvgg_status conv_winograd_prepare_staged(algo_instance *inst, const layer *l, const char *options) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  TRY(build(inst, "_input", options, &state->prologue));
  TRY(build(inst, "_multiply", options, &state->kernel));
  TRY(build(inst, "_output", options, &state->epilogue));
  return upload_weights(inst, l, state);
}

clvgg_status conv_winograd_prepare_fused(algo_instance *inst, const layer *l, const char *options) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  TRY(build(inst, "", options, &state->kernel));
  return upload_weights(inst, l, state);
}

static clvgg_status prepare_staged(algo_instance *inst, const layer *l) {
  return conv_winograd_prepare_staged(inst, l, "");
}

static clvgg_status prepare_fused(algo_instance *inst, const layer *l) {
  return conv_winograd_prepare_fused(inst, l, "");
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

/* The registry's functions of a way, staged or fused, and a form of products. */
#define FUNCTIONS(name, way, form)                                                                                \
  static double cost_##name(const clvgg_device_info *dev, const algo_problem *p, const int *param) {              \
    return way##_cost(dev, p, param, form);                                                                       \
  }                                                                                                               \
  static void work_##name(const algo_problem *p, const int *param, double *flops, double *weights) {              \
    way##_work(p, param, form, flops, weights);                                                                   \
  }                                                                                                               \
  static void choose_##name(const clvgg_device_info *dev, const algo_problem *p, int *param) {                    \
    choose_##way(dev, p, name##_params, cost_##name, param);                                                      \
  }                                                                                                               \
  static size_t bytes_##name(const clvgg_device_info *dev, const algo_problem *p, const int *param) {             \
    return way##_bytes(dev, p, param, form);                                                                      \
  }                                                                                                               \
  static bool supports_##name(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) { \
    return fits(dev, p, param, form, why);                                                                        \
  }
FUNCTIONS(staged_f32, staged, ALGO_F32)
FUNCTIONS(fused_f32, fused, ALGO_F32)
FUNCTIONS(staged_bf16, staged, ALGO_BF16_MATH)
FUNCTIONS(fused_bf16, fused, ALGO_BF16_MATH)

#define ROW(text, way, function, parameters, products, growth, error)                                                \
  {                                                                                                                  \
    .name = (text), .op = LAYER_CONV, .in = ALGO_NCHWC, .out = ALGO_NCHWC, .error_growth = (growth), .pools = true,  \
    .form = (products), .weight_error = (error), .params = (parameters), .registers = winograd_registers,            \
    .choose = choose_##function, .supports = supports_##function, .iterations = way##_iterations,                    \
    .cost = cost_##function, .work = work_##function, .workspace_bytes = bytes_##function, .prepare = prepare_##way, \
    .enqueue = enqueue_##way, .release = algo_state_release                                                          \
  }

/* F(6, 3)'s constants spread over three orders of magnitude. Transformed values in bf16 are off by up to 2^-9, which F(4, 3) makes
 * outputs of up to 4 % of the largest; docs/testing.md. */
const algo algo_conv_winograd = ROW("conv_f32_nchwc_winograd", staged, staged_f32, staged_f32_params, ALGO_F32, 8, 0);
const algo algo_conv_winograd_fused =
    ROW("conv_f32_nchwc_winograd_fused", fused, fused_f32, fused_f32_params, ALGO_F32, 8, 0);
const algo algo_conv_bf16_winograd =
    ROW("conv_bf16_nchwc_winograd", staged, staged_bf16, staged_bf16_params, ALGO_BF16_MATH, 8, 0x1p-6);
const algo algo_conv_bf16_winograd_fused =
    ROW("conv_bf16_nchwc_winograd_fused", fused, fused_bf16, fused_bf16_params, ALGO_BF16_MATH, 8, 0x1p-6);
