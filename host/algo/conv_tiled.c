/* conv_f32_nchw_tiled: input tiles with halo and weights in local memory; the algorithm for GPUs. */
#include "algo/common.h"
#include "algo/rules.h"

enum { GROUP_X, GROUP_Y, ITEM_Y, ITEM_OC, TILE_IC };

static const algo_param params[] = {
    [GROUP_X] = {"GROUP_X", "work-items of a group in x", {1, 2, 4, 8, 16, 32}},
    [GROUP_Y] = {"GROUP_Y", "work-items of a group in y", {1, 2, 4, 8, 16}},
    [ITEM_Y] = {"ITEM_Y", "output rows of a work-item", {1, 2, 4}},
    [ITEM_OC] = {"ITEM_OC", "output channels of a work-item, a vector width", {2, 4, 8, 16}},
    [TILE_IC] = {"TILE_IC", "input channels staged at a time", {1, 2, 4, 8}},
    {0},
};

/* As declared in conv_tiled.cl. */
static uint64_t halo_elements(const int *param) {
  return (uint64_t)(param[GROUP_X] + 2) * (uint64_t)(param[GROUP_Y] * param[ITEM_Y] + 2);
}

static uint64_t local_bytes(const int *param) {
  return (uint64_t)param[TILE_IC] * (halo_elements(param) + 9 * (uint64_t)param[ITEM_OC]) * sizeof(float);
}

static void group(const int *param, size_t local[3]) {
  local[0] = (size_t)param[GROUP_X];
  local[1] = (size_t)param[GROUP_Y];
}

static bool group_fits(const clvgg_device_info *dev, const int *param) {
  return (size_t)param[GROUP_X] * (size_t)param[GROUP_Y] <= dev->max_work_group &&
         (size_t)param[GROUP_X] <= dev->max_work_item[0] && (size_t)param[GROUP_Y] <= dev->max_work_item[1];
}

static size_t groups(const algo_problem *p, const int *param) {
  const size_t columns = size_ceil_div(p->shape.out.w, (size_t)param[GROUP_X]);
  const size_t rows = size_ceil_div(p->shape.out.h, (size_t)param[GROUP_Y] * (size_t)param[ITEM_Y]);
  return columns * rows * p->batch * size_ceil_div(p->shape.out.c, (size_t)param[ITEM_OC]);
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const launch_rule *rule = rules_for(dev);
  param[GROUP_X] = p->shape.out.w > 16 ? 16 : 8;
  param[GROUP_Y] = rule->tile_y;
  param[ITEM_Y] = p->shape.out.h > 8 ? 2 : 1;
  param[ITEM_OC] = p->shape.out.c > 8 ? rule->tile_channels : 8;
  param[TILE_IC] = 4;
  /* A work-item of fewer channels is less efficient, a compute unit without a group even less. */
  while (dev->type != CLVGG_DEVICE_CPU && param[ITEM_OC] > 4 && groups(p, param) < dev->compute_units)
    param[ITEM_OC] /= 2;
  while (!group_fits(dev, param) && param[GROUP_X] * param[GROUP_Y] > 1)
    param[param[GROUP_Y] > 1 && (size_t)param[GROUP_X] <= dev->max_work_item[0] ? GROUP_Y : GROUP_X] /= 2;
  /* Half of the local memory, so that two groups share a compute unit and one computes while the other waits. */
  while (local_bytes(param) > dev->local_bytes / 2 && param[TILE_IC] > 1) param[TILE_IC] /= 2;
  while (local_bytes(param) > dev->local_bytes && param[ITEM_OC] > 2) param[ITEM_OC] /= 2;
  while (local_bytes(param) > dev->local_bytes && param[ITEM_Y] > 1) param[ITEM_Y] /= 2;
  while (local_bytes(param) > dev->local_bytes && param[GROUP_X] * param[GROUP_Y] > 1)
    param[param[GROUP_Y] > 1 ? GROUP_Y : GROUP_X] /= 2;
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  return pack_fits(dev, &p->shape, (size_t)param[ITEM_OC], false, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t items = (uint64_t)param[GROUP_X] * (uint64_t)param[GROUP_Y];
  const uint64_t y = (uint64_t)param[ITEM_Y], oc = (uint64_t)param[ITEM_OC], ic = (uint64_t)param[TILE_IC];
  const uint64_t stage = size_ceil_div(ic * halo_elements(param), items) + size_ceil_div(ic * 9 * oc, items);
  const uint64_t compute = ic * (1 + 3 * (1 + (y + 2) + 3 * (1 + y)));
  return y + size_ceil_div(p->shape.in.c, ic) * (1 + stage + compute) + y * (1 + oc);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  TRY(algo_build_group(inst, "conv_tiled.cl", 2));
  return pack_upload(inst->dev, l, (size_t)inst->param[ITEM_OC], &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const layer_shape *s = &inst->problem.shape;
  const size_t local[3] = {(size_t)inst->param[GROUP_X], (size_t)inst->param[GROUP_Y], 1};
  const size_t global[3] = {
      size_round_up(s->out.w, local[0]),
      size_ceil_div(s->out.h, local[1] * (size_t)inst->param[ITEM_Y]) * local[1],
      batch * size_ceil_div(s->out.c, (size_t)inst->param[ITEM_OC]),
  };
  return algo_launch_conv(inst, batch, in, out, global, local);
}

const algo algo_conv_tiled = {
    .name = "conv_f32_nchw_tiled",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .params = params,
    .group = group,
    .local_bytes = local_bytes,
    .choose = choose,
    .supports = supports,
    .iterations = iterations,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
