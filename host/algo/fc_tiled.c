/* fc_f32_tiled: a work-group an outputs x images tile, reduced in local memory; for CPUs and GPUs. */
#include "algo/common.h"

enum { GROUP, WIDTH, ROWS, IMAGES };

static const algo_param params[] = {
    [GROUP] = {"GROUP", "work-items in a group, sharing the inputs", {1, 2, 4, 8, 16, 32, 64, 128, 256}},
    [WIDTH] = {"WIDTH", "floats that a work-item reads at a time", {2, 4, 8, 16}},
    [ROWS] = {"ROWS", "outputs of a group", {1, 2, 4, 8}},
    [IMAGES] = {"IMAGES", "images of a group", {1, 2, 4, 8}},
    {0},
};

/* As declared in fc_tiled.cl. */
static uint64_t local_bytes(const int *param) {
  return param[GROUP] > 1 ? (uint64_t)(param[ROWS] * param[IMAGES] * param[GROUP]) * sizeof(float) : 0;
}

static void group(const int *param, size_t local[3]) {
  local[0] = (size_t)param[GROUP];
}

static bool group_fits(const clvgg_device_info *dev, const int *param) {
  return (size_t)param[GROUP] <= dev->max_work_group && (size_t)param[GROUP] <= dev->max_work_item[0];
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const bool cpu = dev->type == CLVGG_DEVICE_CPU;
  param[GROUP] = cpu ? 1 : 64;
  param[WIDTH] = cpu ? (int)algo_block(dev) : 4;
  /* Weights come from memory once for every IMAGES images; ROWS x IMAGES sums of a vector each stay in registers. */
  param[IMAGES] = algo_power_of_two(p->batch, cpu ? 8 : 4);
  param[ROWS] = param[IMAGES] == 8 ? 2 : 4;
  while (param[GROUP] > 1 && (!group_fits(dev, param) || local_bytes(param) > dev->local_bytes)) param[GROUP] /= 2;
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)param;
  return pack_fits(dev, &p->shape, 1, true, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t group = (uint64_t)param[GROUP], width = (uint64_t)param[WIDTH];
  const uint64_t rows = (uint64_t)param[ROWS], images = (uint64_t)param[IMAGES];
  const uint64_t vectors = size_ceil_div(layer_row_length(&p->shape), width * group);
  const uint64_t tiles = rows * (1 + images); /* two nested loops over the tile */
  return rows + images + tiles + vectors * (1 + images + tiles) + tiles + rows * images * (2 * width) + tiles +
         9 * (1 + rows * images) + tiles + tiles;
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  TRY(algo_build_group(inst, "fc_tiled.cl", 1));
  return pack_upload(inst->dev, l, 1, &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const packed_weights *w = &algo_state_of(inst)->weights;
  const size_t local[3] = {(size_t)inst->param[GROUP], 1, 1};
  for (size_t i = 0; i < w->panels; i++) {
    const size_t global[3] = {
        size_ceil_div(batch, (size_t)inst->param[IMAGES]) * local[0],
        size_ceil_div(pack_row_count(w, i), (size_t)inst->param[ROWS]),
        1,
    };
    TRY(algo_launch_fc(inst, batch, i, in, out, global, local));
  }
  return CLVGG_OK;
}

const algo algo_fc_tiled = {
    .name = "fc_f32_tiled",
    .op = LAYER_FC,
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
