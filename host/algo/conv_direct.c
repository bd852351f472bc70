/* conv_f32_nchw_direct: blocked in registers, a vector of pixels by several channels; the algorithm for CPUs. */
#include "algo/common.h"

enum { TILE_X, TILE_Y, TILE_OC };

static const algo_param params[] = {
    [TILE_X] = {"TILE_X", "output columns of a work-item, the vector width", {2, 4, 8, 16}},
    [TILE_Y] = {"TILE_Y", "output rows of a work-item", {1, 2, 4}},
    [TILE_OC] = {"TILE_OC", "output channels of a work-item", {1, 2, 4, 8, 16}},
    {0},
};

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const bool cpu = dev->type == CLVGG_DEVICE_CPU;
  /* TILE_Y * TILE_OC sums of a vector each: half of AVX-512's 32 registers, most of the 16 of AVX2 and SSE. */
  param[TILE_X] = cpu ? (int)algo_block(dev) : 4;
  param[TILE_Y] = cpu && param[TILE_X] < 16 ? 1 : 2;
  param[TILE_OC] = algo_power_of_two(8, p->shape.out.c);
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  return pack_fits(dev, &p->shape, (size_t)param[TILE_OC], false, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t x = (uint64_t)param[TILE_X], y = (uint64_t)param[TILE_Y], oc = (uint64_t)param[TILE_OC];
  const uint64_t row = 1 + (x + 2) + 3 + 3 * (1 + y * (1 + oc));
  return x + oc * (1 + y) + p->shape.in.c * (1 + (y + 2) * row) + y * (1 + oc * (1 + x));
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  TRY(algo_build(inst, "conv_direct.cl", inst->algo->name, &algo_state_of(inst)->kernel));
  return pack_upload(inst->dev, l, (size_t)inst->param[TILE_OC], &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const layer_shape *s = &inst->problem.shape;
  const size_t one[3] = {1, 1, 1};
  const size_t global[3] = {
      size_ceil_div(s->out.w, (size_t)inst->param[TILE_X]),
      size_ceil_div(s->out.h, (size_t)inst->param[TILE_Y]),
      batch * size_ceil_div(s->out.c, (size_t)inst->param[TILE_OC]),
  };
  const bool cpu = device_info(inst->dev)->type == CLVGG_DEVICE_CPU;
  return algo_launch_conv(inst, batch, in, out, global, cpu ? one : NULL);
}

const algo algo_conv_direct = {
    .name = "conv_f32_nchw_direct",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .params = params,
    .choose = choose,
    .supports = supports,
    .iterations = iterations,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
