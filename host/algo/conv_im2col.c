/* conv_f32_nchw_im2col_clblast: neighbourhoods copied to a matrix, CLBlast's GEMM, then bias and ReLU. */
#include "algo/clblast_space.h"
#include "algo/common.h"

enum { CONFIG };

/* The workspace is kept to what a last-level cache or a small GPU can bear; images are cut into strips of rows for it. */
#define COLUMNS_BYTES ((size_t)64 << 20)

/* Bytes of the columns of one output row; 0 when that does not fit size_t. */
static size_t row_bytes(const layer_shape *s) {
  const size_t factors[] = {s->in.c, 9, s->out.w, sizeof(float)};
  size_t bytes;
  return size_product(factors, 4, &bytes) ? bytes : 0;
}

/* Output rows that are computed at a time, cut into even strips; 0 when not even one fits. */
static size_t strip_rows(const clvgg_device_info *dev, const layer_shape *s) {
  const size_t bytes = row_bytes(s);
  const size_t limit = dev->max_alloc_bytes < COLUMNS_BYTES ? (size_t)dev->max_alloc_bytes : COLUMNS_BYTES;
  if (bytes == 0 || bytes > limit) return 0;
  return size_ceil_div(s->out.h, size_ceil_div(s->out.h, limit / bytes));
}

/* Of a whole strip. */
static clblast_product product(const clvgg_device_info *dev, const layer_shape *s) {
  return (clblast_product){s->out.c, strip_rows(dev, s) * s->out.w, s->in.c * 9};
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  param[CONFIG] = clblast_choose(dev, product(dev, &p->shape));
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  if (strip_rows(dev, &p->shape) == 0)
    return algo_refuse(why, "the columns of one row need %zu bytes, more than a buffer may have", row_bytes(&p->shape));
  return clblast_supports(dev, param[CONFIG], product(dev, &p->shape), why) && pack_fits(dev, &p->shape, 1, false, why);
}

/* Of the kernels here; CLBlast's GEMM runs about in.c * 9 in steps of its KWG. */
static uint64_t iterations(const algo_problem *p, const int *param) {
  (void)param;
  return 9 + (uint64_t)p->shape.in.c * 9;
}

static size_t workspace_bytes(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  (void)param;
  return strip_rows(dev, &p->shape) * row_bytes(&p->shape);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  TRY(algo_build(inst, "conv_im2col.cl", inst->algo->name, &algo_state_of(inst)->kernel));
  TRY(algo_build(inst, "bias_relu.cl", "bias_relu_f32", &algo_state_of(inst)->epilogue));
  return pack_upload(inst->dev, l, 1, &algo_state_of(inst)->weights);
}

/* Rows [y0, y0 + rows) of image n. */
static clvgg_status enqueue_strip(algo_instance *inst, size_t n, size_t y0, size_t rows, const device_buffer *in,
                                  const device_buffer *out, const device_buffer *columns) {
  const algo_state *state = algo_state_of(inst);
  const layer_shape *s = &inst->problem.shape;
  const size_t pixels = rows * s->out.w, length = s->in.c * 9, plane = s->out.h * s->out.w;
  const device_arg args[] = {
      arg_buffer(in->mem), arg_buffer(columns->mem), arg_int(n),  arg_int(s->in.c),
      arg_int(s->in.h),    arg_int(s->in.w),         arg_int(y0), arg_int(rows),
  };
  TRY(algo_launch_any(inst, &state->kernel, args, COUNT_OF(args), pixels, s->in.c, 1));
  const device_matrix weights = {.mem = state->weights.panel[0].mem, .ld = length};
  const device_matrix matrix = {.mem = columns->mem, .ld = pixels};
  const device_matrix result = {.mem = out->mem, .offset = n * s->out.c * plane + y0 * s->out.w, .ld = plane};
  const clblast_product size = {s->out.c, pixels, length};
  return clblast_gemm(inst->dev, inst->param[CONFIG], size, weights, matrix, result);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const layer_shape *s = &inst->problem.shape;
  const size_t strip = strip_rows(device_info(inst->dev), s);
  for (size_t n = 0; n < batch; n++)
    for (size_t y0 = 0; y0 < s->out.h; y0 += strip)
      TRY(enqueue_strip(inst, n, y0, s->out.h - y0 < strip ? s->out.h - y0 : strip, in, out, workspace));
  return algo_epilogue(inst, batch, s->out.h * s->out.w, out);
}

const algo algo_conv_im2col = {
    .name = "conv_f32_nchw_im2col_clblast",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .params = clblast_params,
    .choose = choose,
    .supports = supports,
    .iterations = iterations,
    .workspace_bytes = workspace_bytes,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
