/* maxpool_f32_nchw_naive and avgpool_f32_nchw_naive: one work-item an output; and their
 * counterparts on blocked activations. */
#include "algo/blocked.h"

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  (void)l;
  TRY(algo_state_open(inst));
  return algo_build(inst, "pool.cl", inst->algo->name, &algo_state_of(inst)->kernel);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const layer_shape *s = &inst->problem.shape;
  const size_t planes = batch * s->in.c;
  const device_arg args[] = {
      arg_buffer(in->mem), arg_buffer(out->mem), arg_int(planes),   arg_int(s->in.h),
      arg_int(s->in.w),    arg_int(s->out.h),    arg_int(s->out.w), /* these two for the average only */
  };
  const size_t count = s->op == LAYER_AVGPOOL ? COUNT_OF(args) : COUNT_OF(args) - 2;
  return algo_launch_any(inst, &algo_state_of(inst)->kernel, args, count, s->out.w, s->out.h, planes);
}

static clvgg_status prepare_blocked(algo_instance *inst, const layer *l) {
  (void)l;
  TRY(algo_state_open(inst));
  return blocked_build(inst, "pool_nchwc.cl", inst->algo->name, "", &algo_state_of(inst)->kernel);
}

static clvgg_status enqueue_blocked(algo_instance *inst, size_t batch, const device_buffer *in,
                                    const device_buffer *out, const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const layer_shape *s = &inst->problem.shape;
  const size_t planes = batch * size_ceil_div(s->in.c, inst->problem.block);
  const device_arg args[] = {arg_buffer(in->mem), arg_buffer(out->mem), arg_int(planes),  arg_int(s->in.h),
                             arg_int(s->in.w),    arg_int(s->out.h),    arg_int(s->out.w)};
  return algo_launch_any(inst, &algo_state_of(inst)->kernel, args, COUNT_OF(args), s->out.w, s->out.h, planes);
}

/* In the unit of the convolutions' models: it moves every value once. */
static double blocked_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  (void)dev, (void)param;
  return 40.0 * (double)(p->batch * shape3_elements(p->shape.in));
}

static bool max_supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)dev, (void)p, (void)param, (void)why;
  return true;
}

static uint64_t max_iterations(const algo_problem *p, const int *param) {
  (void)p, (void)param;
  return 0;
}

/* The kernel's window bounds are products of an input and an output side. */
static bool avg_supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)dev, (void)param;
  const layer_shape *s = &p->shape;
  size_t y, x;
  if (!size_mul(s->in.h + 1, s->out.h + 1, &y) || !size_mul(s->in.w + 1, s->out.w + 1, &x) || y > INT32_MAX ||
      x > INT32_MAX)
    return algo_refuse(why, "windows of %zu x %zu to %zu x %zu pixels need more than 32-bit integers", s->in.h, s->in.w,
                       s->out.h, s->out.w);
  return true;
}

static bool max_supports_blocked(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  (void)param;
  return blocked_supported(dev, p, why);
}

static bool avg_supports_blocked(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  return blocked_supported(dev, p, why) && avg_supports(dev, p, param, why);
}

static uint64_t avg_iterations(const algo_problem *p, const int *param) {
  (void)param;
  const layer_shape *s = &p->shape;
  /* The largest window: ceil(in / out), and one more where it begins inside a pixel that its neighbour shares. */
  const uint64_t rows = size_ceil_div(s->in.h, s->out.h) + 1, columns = size_ceil_div(s->in.w, s->out.w) + 1;
  return rows * (1 + columns);
}

const algo algo_maxpool_naive = {
    .name = "maxpool_f32_nchw_naive",
    .op = LAYER_MAXPOOL,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .supports = max_supports,
    .iterations = max_iterations,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};

const algo algo_avgpool_naive = {
    .name = "avgpool_f32_nchw_naive",
    .op = LAYER_AVGPOOL,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .supports = avg_supports,
    .iterations = avg_iterations,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};

#define BLOCKED(text, which, can, loops)                                                                          \
  {                                                                                                               \
    .name = (text), .op = (which), .in = ALGO_NCHWC, .out = ALGO_NCHWC, .supports = (can), .iterations = (loops), \
    .cost = blocked_cost, .prepare = prepare_blocked, .enqueue = enqueue_blocked, .release = algo_state_release   \
  }

const algo algo_maxpool_nchwc = BLOCKED("maxpool_f32_nchwc_naive", LAYER_MAXPOOL, max_supports_blocked, max_iterations);
const algo algo_avgpool_nchwc = BLOCKED("avgpool_f32_nchwc_naive", LAYER_AVGPOOL, avg_supports_blocked, avg_iterations);
