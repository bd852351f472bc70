/* conv_f32_nchw_implicit_gemm, conv_f16w_nchw_implicit_gemm, conv_f16_nchw_implicit_gemm: a convolution as a matrix product whose
 * input matrix is gathered tile by tile; with weights stored as halves, and multiplied as halves. For GPUs. */
#include <string.h>

#include "algo/gpu.h"

enum { GROUP_PX, GROUP_OC, ITEM_PX, ITEM_OC, TILE_K, BUFFERS };

static const algo_param params[] = {
    [GROUP_PX] = {"GROUP_PX", "work-items of a group along pixels", {1, 2, 4, 8, 16}},
    [GROUP_OC] = {"GROUP_OC", "work-items of a group along output channels", {1, 2, 4, 8, 16}},
    [ITEM_PX] = {"ITEM_PX", "pixels of a work-item", {4, 8}},
    [ITEM_OC] = {"ITEM_OC", "output channels of a work-item", {4, 8}},
    [TILE_K] = {"TILE_K", "input channels of a tile", {4, 8, 16}},
    [BUFFERS] = {"BUFFERS", "of each tile in local memory", {1, 2}},
    {0},
};

#define TAPS 9

/* A form of the kernel: bytes of a stored weight, bytes of a tile's element, how many multiply-adds take the time of one in f32,
 * and the kernel's macro. Most GPUs that compute in halves do so at twice the rate. */
typedef struct form {
  size_t weight_bytes, value_bytes;
  double rate;
  const char *option;
} form;

static const form in_f32 = {sizeof(float), sizeof(float), 1, ""};
static const form in_f16w = {sizeof(uint16_t), sizeof(float), 1, " -DF16_WEIGHTS"};
static const form in_f16 = {sizeof(uint16_t), sizeof(uint16_t), 2, " -DF16_MATH"};

static const form *form_of(const algo *a) {
  return a->form == ALGO_F32 ? &in_f32 : a->form == ALGO_F16 ? &in_f16w : &in_f16;
}

/* As declared in conv_implicit_gemm.cl. */
static size_t group_items(const int *param) {
  return (size_t)param[GROUP_PX] * (size_t)param[GROUP_OC];
}

static size_t tile_px(const int *param) {
  return (size_t)param[GROUP_PX] * (size_t)param[ITEM_PX];
}

static size_t tile_oc(const int *param) {
  return (size_t)param[GROUP_OC] * (size_t)param[ITEM_OC];
}

static uint64_t tile_bytes(const form *f, const int *param) {
  return f->value_bytes * (uint64_t)param[BUFFERS] * (uint64_t)param[TILE_K] * (tile_px(param) + tile_oc(param));
}

static void group(const int *param, size_t local[3]) {
  local[0] = (size_t)param[GROUP_PX];
  local[1] = (size_t)param[GROUP_OC];
}

/* ---- the model of its time */

/* What a work-item has to do for a tile beside reading and multiplying, in multiply-adds for each barrier. An estimate. */
#define FLOPS_OF_A_BARRIER 16.0

static double multiply_flops(const form *f, const clvgg_device_info *dev, const algo_problem *p, const int *param,
                             double groups) {
  /* Of a work-item and a tile: sums, values read for them, barriers; and the sums of halves become f32. */
  const double sums = (double)param[ITEM_PX] * param[ITEM_OC], reads = (double)param[ITEM_PX] + param[ITEM_OC];
  const double barriers = FLOPS_OF_A_BARRIER * (param[BUFFERS] == 1 ? 2 : 1);
  const double conversions = f->rate > 1 ? 2 * sums : 0;
  const double tile = param[TILE_K] * (sums + reads) / f->rate + conversions + barriers;
  const double tiles = TAPS * (double)size_ceil_div(p->shape.in.c, (size_t)param[TILE_K]);
  const double items = (double)group_items(param);
  const double resident = floor((double)dev->local_bytes / (double)tile_bytes(f, param));
  return 2 * groups * items * tiles * tile * gpu_waiting(dev, groups, items, resident);
}

/* What the groups read: weights, and inputs, of which the nearest cache serves eight of nine taps. */
static double cache_bytes(const form *f, const algo_problem *p, const int *param, double groups) {
  const double weights = TAPS * (double)(f->weight_bytes * tile_oc(param));
  return groups * (double)p->shape.in.c * (weights + (double)(sizeof(float) * tile_px(param)));
}

static double time_of(const form *f, const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const double groups = (double)size_ceil_div(4 * gpu_quads(&p->shape, p->batch), tile_px(param)) *
                        (double)size_ceil_div(p->shape.out.c, tile_oc(param));
  const double bytes = gpu_conv_bytes(p, f->weight_bytes) + cache_bytes(f, p, param, groups) / GPU_CACHE_SPEEDUP;
  return multiply_flops(f, dev, p, param, groups) + GPU_FLOPS_A_BYTE * bytes + GPU_FLOPS_A_LAUNCH;
}

/* ---- the rule */

/* Sums of a work-item on devices whose local memory is ordinary memory: these are small ones, with few registers. */
#define SMALL_ITEM 16

static bool fits(const form *f, const clvgg_device_info *dev, const int *param) {
  return group_items(param) <= dev->max_work_group && (size_t)param[GROUP_PX] <= dev->max_work_item[0] &&
         (size_t)param[GROUP_OC] <= dev->max_work_item[1] && tile_bytes(f, param) <= dev->local_bytes &&
         (dev->local_is_dedicated || param[ITEM_PX] * param[ITEM_OC] <= SMALL_ITEM);
}

/* The tile that the model likes best: layers differ in what they need, small ones most. */
static void choose_tile(const form *f, const clvgg_device_info *dev, const algo_problem *p, int *param) {
  int tried[ALGO_MAX_PARAMS];
  double best = INFINITY;
  memcpy(tried, param, sizeof tried);
  for (const int *px = params[GROUP_PX].legal; *px; px++)
    for (const int *oc = params[GROUP_OC].legal; *oc; oc++)
      for (const int *item_px = params[ITEM_PX].legal; *item_px; item_px++)
        for (const int *item_oc = params[ITEM_OC].legal; *item_oc; item_oc++) {
          tried[GROUP_PX] = *px, tried[GROUP_OC] = *oc, tried[ITEM_PX] = *item_px, tried[ITEM_OC] = *item_oc;
          const double time = fits(f, dev, tried) ? time_of(f, dev, p, tried) : INFINITY;
          if (time >= best) continue;
          best = time;
          memcpy(param, tried, sizeof tried);
        }
}

static void choose_for(const form *f, const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const int least[ALGO_MAX_PARAMS] = {1, 1, 4, 4, 4, 1}, usual[ALGO_MAX_PARAMS] = {8, 8, 4, 4, 8, 2};
  const bool has_memory = dev->local_bytes >= 16384;
  memcpy(param, has_memory ? usual : least, sizeof usual);
  /* Half as many tiles are half as many conversions; what lies beyond the last channel is zeros. */
  if (has_memory && f->rate > 1 && p->shape.in.c > 8) param[TILE_K] = 16;
  if (p->shape.in.c <= 4) param[TILE_K] = 4;
  /* Where the model does not hold, one tile for all layers: a kernel less to compile for each. */
  if (gpu_has_model(dev) || !fits(f, dev, param)) choose_tile(f, dev, p, param);
}

/* ---- the rest of the registry's functions */

static bool supports_form(const form *f, const clvgg_device_info *dev, const algo_problem *p, const int *param,
                          char *why) {
  if (f->value_bytes < sizeof(float) && !dev->fp16)
    return algo_refuse(why, "the device has no arithmetic in half precision (cl_khr_fp16)");
  return (f->weight_bytes < sizeof(float) ? pack_fits_half : pack_fits)(dev, &p->shape, tile_oc(param), false, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t px = (uint64_t)param[ITEM_PX], oc = (uint64_t)param[ITEM_OC], k = (uint64_t)param[TILE_K];
  const uint64_t items = group_items(param), quads = px / 4, blocks = oc / 4;
  const uint64_t fill_px = tile_px(param) > items ? tile_px(param) / items : 1;
  const uint64_t fill = fill_px * (1 + k) + size_ceil_div(k * tile_oc(param) / 4, items);
  const uint64_t multiply = k * (1 + quads + blocks * (1 + quads)) + 2 * oc * (1 + quads);
  const uint64_t steps = TAPS * (uint64_t)size_ceil_div(p->shape.in.c, (size_t)param[TILE_K]) + 1;
  return fill_px * (1 + TAPS) + oc * (1 + quads) + steps * (1 + 2 * fill + multiply) + quads * (1 + oc);
}

static void work_of(const form *f, const algo_problem *p, const int *param, double *flops, double *weight_bytes) {
  const double rows = (double)size_round_up(p->shape.out.c, tile_oc(param));
  *flops = (double)p->batch * (double)layer_flops(&p->shape);
  *weight_bytes = (double)f->weight_bytes * (double)layer_row_length(&p->shape) * rows;
}

/* Those of a form. */
#define OF_FORM(form)                                                                                             \
  static uint64_t local_bytes_##form(const int *param) {                                                          \
    return tile_bytes(&in_##form, param);                                                                         \
  }                                                                                                               \
  static void choose_##form(const clvgg_device_info *dev, const algo_problem *p, int *param) {                    \
    choose_for(&in_##form, dev, p, param);                                                                        \
  }                                                                                                               \
  static bool supports_##form(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) { \
    return supports_form(&in_##form, dev, p, param, why);                                                         \
  }                                                                                                               \
  static double cost_##form(const clvgg_device_info *dev, const algo_problem *p, const int *param) {              \
    return gpu_has_model(dev) ? time_of(&in_##form, dev, p, param) : INFINITY;                                    \
  }                                                                                                               \
  static void work_##form(const algo_problem *p, const int *param, double *flops, double *weight_bytes) {         \
    work_of(&in_##form, p, param, flops, weight_bytes);                                                           \
  }
OF_FORM(f32)
OF_FORM(f16w)
OF_FORM(f16)

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  const form *f = form_of(inst->algo);
  TRY(algo_build_group_with(inst, "conv_implicit_gemm.cl", 2, f->option));
  return (f->weight_bytes < sizeof(float) ? pack_upload_half : pack_upload)(inst->dev, l, tile_oc(inst->param),
                                                                            &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const layer_shape *s = &inst->problem.shape;
  const size_t local[3] = {(size_t)inst->param[GROUP_PX], (size_t)inst->param[GROUP_OC], 1};
  const size_t global[3] = {
      size_ceil_div(4 * gpu_quads(s, batch), tile_px(inst->param)) * local[0],
      size_ceil_div(s->out.c, tile_oc(inst->param)) * local[1],
      1,
  };
  return algo_launch_pooling_conv(inst, batch, in, out, global, local);
}

#define IMPLICIT_GEMM(text, stored_as, error, function)                                                              \
  {                                                                                                                  \
    .name = (text), .op = LAYER_CONV, .in = ALGO_NCHW, .out = ALGO_NCHW, .pools = true, .form = (stored_as),         \
    .weight_error = (error), .params = params, .group = group, .local_bytes = local_bytes_##function,                \
    .choose = choose_##function, .supports = supports_##function, .iterations = iterations, .cost = cost_##function, \
    .work = work_##function, .prepare = prepare, .enqueue = enqueue, .release = algo_state_release                   \
  }

const algo algo_conv_implicit_gemm = IMPLICIT_GEMM("conv_f32_nchw_implicit_gemm", ALGO_F32, 0, f32);
const algo algo_conv_implicit_gemm_half = IMPLICIT_GEMM("conv_f16w_nchw_implicit_gemm", ALGO_F16, 0x1p-11, f16w);
/* Of a product: the weight, the input and the product itself are each rounded by up to u = 2^-11, and so is each partial sum of the
 * TILE_K = s products of a tile. Where errors and terms have any signs, a sum of j products is about sqrt(j) times as large as
 * one, so that all additions of a tile are worth an error of sqrt(s * s / 2) * u products, or sqrt(s / 2) * u a product: in
 * all sqrt(3 + s / 2) * u, for s = 16 less than 4 u. */
const algo algo_conv_implicit_gemm_half_math = IMPLICIT_GEMM("conv_f16_nchw_implicit_gemm", ALGO_F16_MATH, 0x1p-9, f16);
