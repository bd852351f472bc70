/* conv_f32_nchw_naive: one work-item an output, for any device. */
#include "algo/common.h"

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)param;
  return pack_fits(dev, &p->shape, 1, false, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  (void)param;
  return (uint64_t)p->shape.in.c * (1 + 3 + 9);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  TRY(algo_build(inst, "conv_naive.cl", inst->algo->name, &algo_state_of(inst)->kernel));
  return pack_upload(inst->dev, l, 1, &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const shape3 s = inst->problem.shape.out;
  return algo_launch_conv(inst, batch, in, out, (size_t[]){s.w, s.h, batch * s.c}, NULL);
}

const algo algo_conv_naive = {
    .name = "conv_f32_nchw_naive",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .supports = supports,
    .iterations = iterations,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
