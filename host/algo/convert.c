/* convert_f32_nchw_nchwc and back, and convert_u8_nhwc_nchw from pixels: a plan's steps between algorithms of different layouts. */
#include "algo/blocked.h"

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)dev, (void)param;
  if (p->block != 4 && p->block != 8 && p->block != 16)
    return algo_refuse(why, "blocks of %zu channels; 4, 8 or 16 are possible", p->block);
  return true;
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  (void)param;
  return p->block;
}

/* In the unit of the convolutions' models: it moves every value twice. */
static double cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  (void)dev, (void)param;
  return 80.0 * (double)(p->batch * shape3_elements(p->shape.in));
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  (void)l;
  TRY(algo_state_open(inst));
  return blocked_build(inst, "convert.cl", inst->algo->name, "", &algo_state_of(inst)->kernel);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const shape3 s = inst->problem.shape.in;
  const device_arg args[] = {arg_buffer(in->mem), arg_buffer(out->mem), arg_int(batch), arg_int(s.c),
                             arg_int(s.h * s.w)};
  return algo_launch_any(inst, &algo_state_of(inst)->kernel, args, COUNT_OF(args), s.h * s.w,
                         size_ceil_div(s.c, inst->problem.block), batch);
}

/* ---- from pixels, for any device */

static bool supports_image(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)dev, (void)p, (void)param, (void)why;
  return true;
}

static uint64_t iterations_image(const algo_problem *p, const int *param) {
  (void)p, (void)param;
  return 1; /* it has no loop */
}

static clvgg_status prepare_image(algo_instance *inst, const layer *l) {
  (void)l;
  TRY(algo_state_open(inst));
  return algo_build(inst, "convert.cl", inst->algo->name, &algo_state_of(inst)->kernel);
}

static clvgg_status enqueue_image(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                                  const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const shape3 s = inst->problem.shape.in;
  device_arg args[5 + ALGO_PIXEL_ARGS] = {arg_buffer(in->mem), arg_buffer(out->mem), arg_int(batch), arg_int(s.h * s.w),
                                          arg_int(inst->pixels.bgr)};
  algo_pixel_args(inst, args + 5);
  return algo_launch_any(inst, &algo_state_of(inst)->kernel, args, COUNT_OF(args), s.h * s.w, batch, 1);
}

#define CONVERSION(from, to, text)                                                                                  \
  {                                                                                                                 \
    .name = (text), .op = LAYER_CONVERT, .in = (from), .out = (to), .supports = supports, .iterations = iterations, \
    .cost = cost, .prepare = prepare, .enqueue = enqueue, .release = algo_state_release                             \
  }

const algo algo_convert_to_blocked = CONVERSION(ALGO_NCHW, ALGO_NCHWC, "convert_f32_nchw_nchwc");
const algo algo_convert_to_plain = CONVERSION(ALGO_NCHWC, ALGO_NCHW, "convert_f32_nchwc_nchw");

const algo algo_convert_image = {
    .name = "convert_u8_nhwc_nchw",
    .op = LAYER_CONVERT,
    .in = ALGO_RGB8,
    .out = ALGO_NCHW,
    .weight_error = 0x1p-23, /* 1 / std and the product are rounded */
    .supports = supports_image,
    .iterations = iterations_image,
    .cost = cost,
    .prepare = prepare_image,
    .enqueue = enqueue_image,
    .release = algo_state_release,
};
