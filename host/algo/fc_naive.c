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
  const algo_state *state = algo_state_of(inst);
  const packed_weights *w = &state->weights;
  for (size_t i = 0; i < w->panels; i++) {
    const size_t rows = pack_row_count(w, i);
    device_arg args[ALGO_FC_ARGS];
    algo_fc_args(inst, batch, i, in, out, args);
    TRY(algo_launch_any(inst, &state->kernel, args, ALGO_FC_ARGS, rows, batch, 1));
  }
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
