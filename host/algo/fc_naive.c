/* fc_f32_naive: one work-item an output, for any device. */
#include "algo/common.h"

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)param;
  return pack_fits(dev, &p->shape, 1, true, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  (void)param;
  return layer_row_length(&p->shape);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  TRY(algo_build(inst, "fc_naive.cl", inst->algo->name, &algo_state_of(inst)->kernel));
  return pack_upload(inst->dev, l, 1, &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const packed_weights *w = &algo_state_of(inst)->weights;
  for (size_t i = 0; i < w->panels; i++)
    TRY(algo_launch_fc(inst, batch, i, in, out, (size_t[]){pack_row_count(w, i), batch, 1}, NULL));
  return CLVGG_OK;
}

const algo algo_fc_naive = {
    .name = "fc_f32_naive",
    .op = LAYER_FC,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .supports = supports,
    .iterations = iterations,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
