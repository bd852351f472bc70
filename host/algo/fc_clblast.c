/* fc_f32_clblast: CLBlast's GEMM, then bias and ReLU. */
#include "algo/clblast_space.h"
#include "algo/common.h"

enum { CONFIG };

/* Of all rows of the weights; a panel's is smaller. */
static clblast_product product(const algo_problem *p) {
  return (clblast_product){p->batch, p->shape.out.c, layer_row_length(&p->shape)};
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  param[CONFIG] = clblast_choose(dev, product(p));
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  return clblast_supports(dev, param[CONFIG], product(p), why) && pack_fits(dev, &p->shape, 1, true, why);
}

/* CLBlast's GEMM runs over the row in steps of its KWG. */
static uint64_t iterations(const algo_problem *p, const int *param) {
  (void)param;
  return layer_row_length(&p->shape);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  TRY(algo_build(inst, "bias_relu.cl", "bias_relu_f32", &algo_state_of(inst)->epilogue));
  return pack_upload(inst->dev, l, 1, &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const packed_weights *w = &algo_state_of(inst)->weights;
  for (size_t i = 0; i < w->panels; i++) {
    const device_matrix images = {.mem = in->mem, .ld = w->length};
    const device_matrix weights = {.mem = w->panel[i].mem, .ld = w->length, .transposed = true};
    const device_matrix result = {.mem = out->mem, .offset = pack_first_row(w, i), .ld = w->rows};
    const clblast_product size = {batch, pack_row_count(w, i), w->length};
    TRY(clblast_gemm(inst->dev, inst->param[CONFIG], size, images, weights, result));
  }
  return algo_epilogue(inst, batch, 1, out);
}

const algo algo_fc_clblast = {
    .name = "fc_f32_clblast",
    .op = LAYER_FC,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .params = clblast_params,
    .choose = choose,
    .supports = supports,
    .iterations = iterations,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
