/* conv_f32_nchw_winograd and conv_f32_nchw_winograd_fused: fewer multiplications, for GPUs. See cl/conv_winograd_gpu.cl. */
#include "algo/winograd_gpu.h"
#include "algo/winograd_weights.h"

/* Builds the kernel that is launched in groups, and again in smaller ones, in inst->param too, as long as the built one allows only
 * those. */
static clvgg_status build_group(algo_instance *inst, const char *name, device_kernel *kernel) {
  for (;;) {
    size_t local[3];
    TRY(algo_build(inst, "conv_winograd_gpu.cl", name, kernel));
    winograd_gpu_group(inst->param, local);
    const size_t allowed = kernel->max_work_group;
    if (local[0] * local[1] * local[2] <= allowed) return CLVGG_OK;
    device_kernel_release(kernel);
    if (!winograd_gpu_make_smaller(inst->param))
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s: %s allows groups of %zu for this kernel, which needs %zu",
                       inst->algo->name, device_info(inst->dev)->name, allowed, local[2]);
  }
}

static clvgg_status prepare_staged(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  TRY(build_group(inst, "conv_f32_nchw_winograd_multiply", &state->kernel));
  TRY(algo_build(inst, "conv_winograd_gpu.cl", "conv_f32_nchw_winograd_input", &state->prologue));
  TRY(algo_build(inst, "conv_winograd_gpu.cl", "conv_f32_nchw_winograd_output", &state->epilogue));
  const winograd_gpu_sizes z = winograd_gpu_measure(&inst->problem, inst->param);
  const winograd_order order = {.m = inst->param[M],
                                .in_channels = z.channels,
                                .groups = z.out_channels / z.tile_oc,
                                .group = z.tile_oc,
                                .group_stride = z.tile_oc,
                                .ic_stride = z.out_channels,
                                .freq_stride = z.channels * z.out_channels};
  return winograd_upload(inst->dev, l, &order, &state->weights);
}

static clvgg_status prepare_fused(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  TRY(build_group(inst, "conv_f32_nchw_winograd_fused", &state->kernel));
  const winograd_gpu_sizes z = winograd_gpu_measure(&inst->problem, inst->param);
  const winograd_order order = {.m = inst->param[M],
                                .in_channels = z.channels,
                                .groups = z.out_channels / z.tile_oc,
                                .group = z.tile_oc,
                                .group_stride = z.channels * z.freqs * z.tile_oc,
                                .ic_stride = z.freqs * z.tile_oc,
                                .freq_stride = z.tile_oc};
  return winograd_upload(inst->dev, l, &order, &state->weights);
}

/* A transform of tiles x channels; neighbouring work-items have neighbouring tiles. */
static clvgg_status launch_transform(const algo_instance *inst, const device_kernel *kernel, const device_arg *args,
                                     size_t count, size_t tiles, size_t channels) {
  const clvgg_device_info *dev = device_info(inst->dev);
  const size_t most = kernel->max_work_group < dev->max_work_group ? kernel->max_work_group : dev->max_work_group;
  const size_t local[3] = {(size_t)algo_power_of_two(most < 64 ? most : 64, dev->max_work_item[0]), 1, 1};
  return device_launch(inst->dev, kernel, args, count, (size_t[]){tiles, channels, 1}, local);
}

/* tiles tiles (padded) from the first on, of all. */
static clvgg_status enqueue_part(algo_instance *inst, size_t first, size_t tiles, size_t all, const device_buffer *in,
                                 const device_buffer *out, const device_buffer *workspace) {
  const algo_state *state = algo_state_of(inst);
  const packed_weights *w = &state->weights;
  const layer_shape *s = &inst->problem.shape;
  const winograd_gpu_sizes z = winograd_gpu_measure(&inst->problem, inst->param);
  const device_arg input[] = {arg_buffer(in->mem), arg_buffer(workspace->mem), arg_int(first),      arg_int(all),
                              arg_int(tiles),      arg_int(s->in.c),           arg_int(z.channels), arg_int(s->in.h),
                              arg_int(s->in.w),    arg_int(z.tiles_y),         arg_int(z.tiles_x)};
  TRY(launch_transform(inst, &state->prologue, input, COUNT_OF(input), tiles, z.channels));
  const device_arg multiply[] = {arg_buffer(workspace->mem), arg_buffer(w->panel[0].mem), arg_buffer(workspace->mem),
                                 arg_int(z.channels),        arg_int(z.out_channels),     arg_int(tiles)};
  size_t local[3];
  winograd_gpu_group(inst->param, local);
  TRY(device_launch(inst->dev, &state->kernel, multiply, COUNT_OF(multiply),
                    (size_t[]){tiles / z.tile_t * local[0], z.out_channels / z.tile_oc * local[1], z.freqs}, local));
  const device_arg output[] = {arg_buffer(workspace->mem),
                               arg_buffer(w->bias.mem),
                               arg_buffer(out->mem),
                               arg_int(first),
                               arg_int(all),
                               arg_int(tiles),
                               arg_int(z.channels),
                               arg_int(s->out.c),
                               arg_int(z.out_channels),
                               arg_int(s->in.h),
                               arg_int(s->in.w),
                               arg_int(z.tiles_y),
                               arg_int(z.tiles_x),
                               arg_int(s->pool),
                               arg_float(algo_lowest(s))};
  return launch_transform(inst, &state->epilogue, output, COUNT_OF(output), tiles, s->out.c);
}

static clvgg_status enqueue_staged(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                                   const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const winograd_gpu_sizes z = winograd_gpu_measure(&inst->problem, inst->param);
  const size_t all = batch * z.tiles_y * z.tiles_x;
  const size_t part = winograd_gpu_part(device_info(inst->dev), &inst->problem, inst->param);
  for (size_t first = 0; first < all; first += part) {
    const size_t left = size_round_up(all - first, z.tile_t);
    TRY(enqueue_part(inst, first, left < part ? left : part, all, in, out, workspace));
  }
  return CLVGG_OK;
}

static clvgg_status enqueue_fused(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                                  const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const algo_state *state = algo_state_of(inst);
  const layer_shape *s = &inst->problem.shape;
  const winograd_gpu_sizes z = winograd_gpu_measure(&inst->problem, inst->param);
  const size_t tiles = batch * z.tiles_y * z.tiles_x;
  const device_arg args[] = {arg_buffer(in->mem),
                             arg_buffer(state->weights.panel[0].mem),
                             arg_buffer(state->weights.bias.mem),
                             arg_buffer(out->mem),
                             arg_int(tiles),
                             arg_int(s->in.c),
                             arg_int(z.channels),
                             arg_int(s->out.c),
                             arg_int(s->in.h),
                             arg_int(s->in.w),
                             arg_int(z.tiles_y),
                             arg_int(z.tiles_x),
                             arg_int(s->pool),
                             arg_float(algo_lowest(s))};
  size_t local[3];
  winograd_gpu_group(inst->param, local);
  const size_t global[] = {size_ceil_div(tiles, z.tile_t) * local[0], z.out_channels / z.tile_oc * local[1], local[2]};
  return device_launch(inst->dev, &state->kernel, args, COUNT_OF(args), global, local);
}

const algo algo_conv_winograd_gpu = {
    .name = "conv_f32_nchw_winograd",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .error_growth = 8, /* as the forms for CPUs: F(4, 3)'s constants spread over two orders of magnitude */
    .pools = true,
    .params = winograd_gpu_staged_params,
    .group = winograd_gpu_group,
    .local_bytes = winograd_gpu_staged_local_bytes,
    .choose = winograd_gpu_choose_staged,
    .supports = winograd_gpu_supports,
    .iterations = winograd_gpu_staged_iterations,
    .cost = winograd_gpu_staged_cost,
    .work = winograd_gpu_staged_work,
    .workspace_bytes = winograd_gpu_staged_workspace,
    .prepare = prepare_staged,
    .enqueue = enqueue_staged,
    .release = algo_state_release,
};

const algo algo_conv_winograd_gpu_fused = {
    .name = "conv_f32_nchw_winograd_fused",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .error_growth = 8, /* as the forms for CPUs: F(4, 3)'s constants spread over two orders of magnitude */
    .pools = true,
    .params = winograd_gpu_fused_params,
    .group = winograd_gpu_group,
    .local_bytes = winograd_gpu_fused_local_bytes,
    .choose = winograd_gpu_choose_fused,
    .supports = winograd_gpu_supports,
    .iterations = winograd_gpu_fused_iterations,
    .cost = winograd_gpu_fused_cost,
    .work = winograd_gpu_fused_work,
    .prepare = prepare_fused,
    .enqueue = enqueue_fused,
    .release = algo_state_release,
};
