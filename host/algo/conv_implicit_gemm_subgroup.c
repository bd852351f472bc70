/* conv_f32_nchw_implicit_gemm_subgroup: a work-item computes a square of pixels from registers, and the work-items of a sub-group
 * hand each other the weights; for GPUs. */
#include "algo/gpu.h"

enum { GROUP, ITEM_OC };

static const algo_param params[] = {
    [GROUP] = {"GROUP", "work-items of a group", {1, 2, 4, 8, 16, 32, 64, 128}},
    [ITEM_OC] = {"ITEM_OC", "output channels of a work-item", {4, 8, 16}},
    {0},
};

/* Of an input channel and a quad: pixels read, and products of a sum. */
#define PATCH    16
#define PRODUCTS 36
/* Groups that a compute unit has at once, where nothing but registers bounds them. */
#define RESIDENT 16.0

static void group(const int *param, size_t local[3]) {
  local[0] = (size_t)param[GROUP];
}

/* 8 or 16 channels fill the registers of most devices; small layers are to have enough groups. */
static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  const size_t items = gpu_quads(&p->shape, p->batch) * p->shape.out.c;
  const size_t most = dev->max_work_group < dev->max_work_item[0] ? dev->max_work_group : dev->max_work_item[0];
  param[ITEM_OC] = p->shape.out.c <= 4 ? 4 : 8;
  param[GROUP] = algo_power_of_two(items / 8 > 64 * (size_t)dev->compute_units ? 64 : 32, most);
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  if (!dev->subgroups) return algo_refuse(why, "the device has no sub-groups");
  return pack_fits(dev, &p->shape, (size_t)param[ITEM_OC], false, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t oc = (uint64_t)param[ITEM_OC];
  const uint64_t channel = 1 + PATCH + size_ceil_div(9 * oc / 4, 8) + 9 * (1 + oc / 4);
  return PATCH + 2 * oc + p->shape.in.c * channel;
}

/* Compilers know sub-groups less well: to be preferred only where it was measured. */
#define UNTRIED 1.1

/* A pixel read comes from the nearest cache, at a quarter of the rate of multiply-adds; a weight handed on takes the time of one. What is
 * read for each block of channels comes from the cache that all share. */
static double cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  if (!gpu_has_model(dev)) return INFINITY;
  const double items = (double)size_round_up(gpu_quads(&p->shape, p->batch), (size_t)param[GROUP]);
  const double blocks = (double)size_ceil_div(p->shape.out.c, (size_t)param[ITEM_OC]), group = param[GROUP];
  const double channel = (PRODUCTS + 9.0) * param[ITEM_OC] + 4.0 * PATCH, channels = (double)p->shape.in.c;
  const double multiply =
      2 * items * blocks * channels * channel * gpu_waiting(dev, items * blocks / group, group, RESIDENT);
  const double cached = sizeof(float) * channels * items * blocks * (4 + 9.0 * param[ITEM_OC] / group);
  const double bytes = gpu_conv_bytes(p, sizeof(float)) + cached / GPU_CACHE_SPEEDUP;
  return UNTRIED * (multiply + GPU_FLOPS_A_BYTE * bytes) + GPU_FLOPS_A_LAUNCH;
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  TRY(algo_build_group(inst, "conv_implicit_gemm_subgroup.cl", 1));
  return pack_upload(inst->dev, l, (size_t)inst->param[ITEM_OC], &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const layer_shape *s = &inst->problem.shape;
  const size_t local[3] = {(size_t)inst->param[GROUP], 1, 1};
  const size_t blocks = size_ceil_div(s->out.c, (size_t)inst->param[ITEM_OC]);
  return algo_launch_pooling_conv(inst, batch, in, out, (size_t[3]){gpu_quads(s, batch), blocks, 1}, local);
}

const algo algo_conv_implicit_gemm_subgroup = {
    .name = "conv_f32_nchw_implicit_gemm_subgroup",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .pools = true,
    .params = params,
    .group = group,
    .choose = choose,
    .supports = supports,
    .iterations = iterations,
    .cost = cost,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
