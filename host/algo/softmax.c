/* softmax_f32_naive: one work-group an image. */
#include "algo/common.h"
#include "algo/rules.h"

enum { GROUP };

static const algo_param params[] = {
    [GROUP] = {"GROUP", "work-items in a group", {1, 2, 4, 8, 16, 32, 64, 128, 256}},
    {0},
};

static void group(const int *param, size_t local[3]) {
  local[0] = (size_t)param[GROUP];
}

/* A sum of each work-item. */
static uint64_t local_bytes(const int *param) {
  return (uint64_t)param[GROUP] * sizeof(float);
}

static bool fits(const clvgg_device_info *dev, int group) {
  return (size_t)group <= dev->max_work_group && (size_t)group <= dev->max_work_item[0] &&
         (size_t)group * sizeof(float) <= dev->local_bytes;
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  param[GROUP] = algo_power_of_two((size_t)rules_for(dev)->dot_group, p->shape.in.c);
  while (param[GROUP] > 1 && !fits(dev, param[GROUP])) param[GROUP] /= 2;
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)dev, (void)p, (void)param, (void)why;
  return true;
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  return 3 * size_ceil_div(p->shape.in.c, (size_t)param[GROUP]) + 18; /* two reductions of at most nine rounds */
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  (void)l;
  TRY(algo_state_open(inst));
  return algo_build_group(inst, "softmax.cl", 1);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const device_arg args[] = {arg_buffer(in->mem), arg_buffer(out->mem), arg_int(inst->problem.shape.in.c)};
  const size_t local[3] = {(size_t)inst->param[GROUP], 1, 1}, global[3] = {batch * local[0], 1, 1};
  return device_launch(inst->dev, &algo_state_of(inst)->kernel, args, COUNT_OF(args), global, local);
}

const algo algo_softmax_naive = {
    .name = "softmax_f32_naive",
    .op = LAYER_SOFTMAX,
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
