/* conv_f32_nchwc_direct on blocked activations; conv_f32_nchw_nchwc_direct and conv_u8_nhwc_nchwc_direct from an image into
 * them, normalised or as pixels. */
#include <stdio.h>

#include "algo/blocked.h"

enum { TILE, OC_BLOCKS };

static const algo_param params[] = {
    [TILE] = {"TILE", "pixels of a row computed at once", {4, 6, 7, 14}},
    [OC_BLOCKS] = {"OC_BLOCKS", "blocks of output channels computed at once", {1, 2}},
    {0},
};

/* The first layer's input channels are one block of their own size. */
#define MOST_IMAGE_CHANNELS 4

static bool from_image(const algo_instance *inst) {
  return inst->algo->in != ALGO_NCHWC;
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  (void)dev;
  /* As for Winograd: 14 x 2 sums fill AVX-512's registers, 6 x 2 those of AVX and SSE; 7 or 4 where it wastes less of a row. */
  param[TILE] = p->shape.in.w <= 4 ? 4 : p->block != 16 ? 6 : p->shape.in.w <= 7 ? 7 : 14;
  param[OC_BLOCKS] = p->shape.out.c > p->block ? 2 : 1;
}

/* The sums, and a vector of weights and one of an input channel. */
static size_t registers(const int *param) {
  return (size_t)(param[TILE] * param[OC_BLOCKS]) + 2;
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)param;
  if (!blocked_supported(dev, p, why)) return false;
  const double bytes = 36.0 * (double)(p->shape.in.c + p->block) * (double)(p->shape.out.c + 2 * p->block);
  if (bytes > (double)dev->max_alloc_bytes)
    return algo_refuse(why, "weights of %.0f MiB exceed the largest buffer of %llu MiB", bytes / 1048576,
                       (unsigned long long)(dev->max_alloc_bytes >> 20));
  return true;
}

static bool supports_image(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  if (p->shape.in.c > MOST_IMAGE_CHANNELS)
    return algo_refuse(why, "%zu input channels; it is made for images of up to %d", p->shape.in.c,
                       MOST_IMAGE_CHANNELS);
  return supports(dev, p, param, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t tile = (uint64_t)param[TILE], oc = (uint64_t)param[OC_BLOCKS];
  const uint64_t blocks = size_ceil_div(p->shape.in.c, p->block), strips = size_ceil_div(p->shape.in.w, tile);
  /* Rows are copied a channel of a pixel at a time, and pixels' normalisation is spread over a tile first. */
  const uint64_t row = (tile + 2) * 4 + 3 * p->block * (1 + oc + tile * (1 + oc));
  return tile + strips * (blocks * 3 * row + 4 * oc * (1 + tile));
}

/* Operations in the time of a byte of weights that comes from the second level cache, which it does for every row. */
#define FLOPS_A_LINE_BYTE 0.7

/* Operations at the multiplication's peak; short rows leave a part of a tile idle. */
static double cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  (void)dev;
  const double width = (double)size_round_up(p->shape.in.w, (size_t)param[TILE]);
  const size_t step = (size_t)param[OC_BLOCKS] * p->block;
  const double channels = (double)size_round_up(p->shape.out.c, step), lines = (double)(p->batch * p->shape.in.h);
  const double weights = 36.0 * (double)p->shape.in.c * channels;
  const double multiply = 18.0 * (double)p->shape.in.c * lines * width * channels / 0.8;
  return FLOPS_A_LAUNCH + blocked_overlap(p, multiply, weights) + FLOPS_A_LINE_BYTE * weights * (lines - 1);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  const bool pixels = inst->algo->in == ALGO_RGB8;
  const size_t lanes = from_image(inst) ? inst->problem.shape.in.c : inst->problem.block;
  char more[48] = "";
  if (pixels)
    snprintf(more, sizeof more, " -DFROM_RGB8");
  else if (from_image(inst))
    snprintf(more, sizeof more, " -DFROM_NCHW -DLANES=%zu", lanes);
  TRY(blocked_build(inst, "conv_direct_nchwc.cl", inst->algo->name, more, &state->kernel));
  return blocked_pack_conv(inst->dev, l, lanes, (size_t)inst->param[OC_BLOCKS] * inst->problem.block,
                           pixels && inst->pixels.bgr, &state->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const algo_state *state = algo_state_of(inst);
  const layer_shape *s = &inst->problem.shape;
  const size_t oc_blocks = size_ceil_div(s->out.c, inst->problem.block);
  device_arg args[9 + ALGO_PIXEL_ARGS] = {
      arg_buffer(in->mem),
      arg_buffer(state->weights.panel[0].mem),
      arg_buffer(state->weights.bias.mem),
      arg_buffer(out->mem),
      arg_int(from_image(inst) ? 1 : size_ceil_div(s->in.c, inst->problem.block)),
      arg_int(oc_blocks),
      arg_int(s->in.h),
      arg_int(s->in.w),
      arg_float(algo_lowest(s)),
  };
  const bool pixels = inst->algo->in == ALGO_RGB8;
  if (pixels) algo_pixel_args(inst, args + 9);
  const size_t groups = size_ceil_div(oc_blocks, (size_t)inst->param[OC_BLOCKS]);
  return device_launch(inst->dev, &state->kernel, args, pixels ? COUNT_OF(args) : 9, (size_t[]){s->in.h, groups, batch},
                       (size_t[]){1, 1, 1});
}

const algo algo_conv_direct_nchwc = {
    .name = "conv_f32_nchwc_direct",
    .op = LAYER_CONV,
    .in = ALGO_NCHWC,
    .out = ALGO_NCHWC,
    .params = params,
    .registers = registers,
    .choose = choose,
    .supports = supports,
    .iterations = iterations,
    .cost = cost,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};

const algo algo_conv_direct_image = {
    .name = "conv_f32_nchw_nchwc_direct",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHWC,
    .params = params,
    .registers = registers,
    .choose = choose,
    .supports = supports_image,
    .iterations = iterations,
    .cost = cost,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};

const algo algo_conv_direct_pixels = {
    .name = "conv_u8_nhwc_nchwc_direct",
    .op = LAYER_CONV,
    .in = ALGO_RGB8,
    .out = ALGO_NCHWC,
    .params = params,
    .registers = registers,
    .choose = choose,
    .supports = supports_image,
    .iterations = iterations,
    .cost = cost,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
