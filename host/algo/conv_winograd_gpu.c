/* conv_f32_nchw_winograd and conv_f32_nchw_winograd_fused: fewer multiplications, for GPUs. See cl/conv_winograd_gpu.cl. */
#include <stdlib.h>
#include <string.h>

#include "algo/gpu.h"
#include "algo/winograd_weights.h"

/* The fused form has them all, the staged one no ITEM_F: there it is 0. */
enum { GROUP_T, GROUP_OC, ITEM_T, ITEM_OC, TILE_K, M, ITEM_F };

#define PARAMS                                                                                   \
  [GROUP_T] = {"GROUP_T", "work-items of a group that share output channels", {1, 2, 4, 8, 16}}, \
  [GROUP_OC] = {"GROUP_OC", "work-items of a group that share tiles", {1, 2, 4, 8, 16}},         \
  [ITEM_T] = {"ITEM_T", "tiles of a work-item", {4, 8}},                                         \
  [ITEM_OC] = {"ITEM_OC", "output channels of a work-item", {4, 8}},                             \
  [TILE_K] = {"TILE_K", "input channels in local memory at a time", {1, 2, 4, 8}},               \
  [M] = {"M", "side of a tile of outputs", {2, 4}}

static const algo_param staged_params[] = {PARAMS, {0}};
static const algo_param fused_params[] = {
    PARAMS, [ITEM_F] = {"ITEM_F", "places of a transformed tile of a work-item", {1, 2, 4, 16}}, {0}};

/* The staged form works on a part of all tiles at a time to keep its scratch memory below this. */
#define PART_BYTES ((size_t)64 << 20)
/* A work-item's sums in registers: GPUs have 64 to 256 of them. */
#define MOST_SUMS 256

/* ---- sizes */

/* What the kernels count in; channels and tiles are padded. */
typedef struct sizes {
  size_t freqs, tiles_y, tiles_x;
  size_t tile_t, tile_oc;        /* of a group */
  size_t channels, out_channels; /* multiples of TILE_K and tile_oc */
  size_t tiles;                  /* of the batch, not padded */
} sizes;

static sizes measure(const algo_problem *p, const int *param) {
  const layer_shape *s = &p->shape;
  const size_t m = (size_t)param[M];
  sizes z = {.freqs = (m + 2) * (m + 2),
             .tiles_y = size_ceil_div(s->in.h, m),
             .tiles_x = size_ceil_div(s->in.w, m),
             .tile_t = (size_t)(param[GROUP_T] * param[ITEM_T]),
             .tile_oc = (size_t)(param[GROUP_OC] * param[ITEM_OC])};
  z.channels = size_round_up(s->in.c, (size_t)param[TILE_K]);
  z.out_channels = size_round_up(s->out.c, z.tile_oc);
  z.tiles = p->batch * z.tiles_y * z.tiles_x;
  return z;
}

/* Tiles that the staged form takes at a time, as even as possible. Smaller groups never make its scratch memory larger: prepare may have
 * to choose them when that is there already. So the bound assumes the largest padding. */
static size_t part_tiles(const clvgg_device_info *dev, const algo_problem *p, const sizes *z) {
  const double limit = dev->max_alloc_bytes < PART_BYTES ? (double)dev->max_alloc_bytes : (double)PART_BYTES;
  const double channels = (double)p->shape.in.c + (double)p->shape.out.c + 8 + 128;
  const double fit = limit / ((double)(z->freqs * sizeof(float)) * channels) - 128;
  const size_t most = fit < 1 ? 1 : (size_t)fit;
  return size_round_up(size_ceil_div(z->tiles, size_ceil_div(z->tiles, most)), z->tile_t);
}

static size_t staged_bytes(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const sizes z = measure(p, param);
  return z.freqs * (z.channels + z.out_channels) * part_tiles(dev, p, &z) * sizeof(float);
}

/* ---- what parameters need of the device */

/* Work-items that share the places of a tile. */
static size_t group_f(const int *param) {
  return param[ITEM_F] ? (size_t)((param[M] + 2) * (param[M] + 2) / param[ITEM_F]) : 1;
}

static void group(const int *param, size_t local[3]) {
  local[0] = (size_t)param[GROUP_T];
  local[1] = (size_t)param[GROUP_OC];
  local[2] = group_f(param);
}

/* As declared in conv_winograd_gpu.cl. */
static uint64_t staged_local_bytes(const int *param) {
  return (uint64_t)(param[TILE_K] * (param[GROUP_T] * param[ITEM_T] + param[GROUP_OC] * param[ITEM_OC])) *
         sizeof(float);
}

static uint64_t fused_local_bytes(const int *param) {
  const uint64_t freqs = (uint64_t)((param[M] + 2) * (param[M] + 2)),
                 tile_t = (uint64_t)(param[GROUP_T] * param[ITEM_T]);
  const uint64_t inputs = staged_local_bytes(param), sums = 2 * (uint64_t)param[GROUP_OC] * tile_t * sizeof(float);
  return freqs * (inputs > sums ? inputs : sums) + 3 * tile_t * sizeof(int32_t);
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  const sizes z = measure(p, param);
  const int sums = (param[ITEM_F] ? param[ITEM_F] : 1) * param[ITEM_T] * param[ITEM_OC];
  if (param[ITEM_F] && z.freqs % (size_t)param[ITEM_F] != 0)
    return algo_refuse(why, "the %zu places of a tile are no multiple of %d", z.freqs, param[ITEM_F]);
  if (sums > MOST_SUMS)
    return algo_refuse(why, "it holds %d sums in registers, at most %d are useful", sums, MOST_SUMS);
  const size_t weights[] = {z.freqs, z.channels, z.out_channels};
  const size_t scratch[] = {z.freqs, z.channels + z.out_channels, param[ITEM_F] ? 1 : part_tiles(dev, p, &z)};
  size_t weight_floats, scratch_floats;
  if (!size_product(weights, 3, &weight_floats) || weight_floats > dev->max_alloc_bytes / sizeof(float))
    return algo_refuse(why, "transformed weights of %.0f MiB exceed the largest buffer of %llu MiB",
                       (double)z.freqs * (double)z.channels * (double)z.out_channels * sizeof(float) / 1048576,
                       (unsigned long long)(dev->max_alloc_bytes >> 20));
  if (weight_floats > INT32_MAX || !size_product(scratch, 3, &scratch_floats) || scratch_floats > INT32_MAX)
    return algo_refuse(why, "transformed weights or tiles need more than 32-bit indices");
  return true;
}

/* ---- iterations: every loop counted as if it were not unrolled */

static uint64_t tile_iterations(const int *param) {
  const uint64_t n = (uint64_t)param[M] + 2;
  return n * (2 + n) + n * (1 + 2 * n) + n * n + n * (1 + n); /* either transform, and reading or writing */
}

static uint64_t multiply_iterations(const int *param) {
  const uint64_t t = (uint64_t)param[ITEM_T] / 4, o = (uint64_t)param[ITEM_OC] / 4;
  return 1 + t + o * (1 + t);
}

static uint64_t sum_iterations(const int *param) {
  return (uint64_t)param[ITEM_OC] * (1 + (uint64_t)param[ITEM_T] / 4);
}

static uint64_t staged_iterations(const algo_problem *p, const int *param) {
  const sizes z = measure(p, param);
  const uint64_t items = (uint64_t)(param[GROUP_T] * param[GROUP_OC]), k = (uint64_t)param[TILE_K];
  const uint64_t loads = size_ceil_div(k * z.tile_t / 4, items) + size_ceil_div(k * z.tile_oc / 4, items);
  const uint64_t multiply =
      2 * sum_iterations(param) + loads + z.channels / k * (1 + 2 * loads + k * (1 + multiply_iterations(param)));
  return multiply > tile_iterations(param) ? multiply : tile_iterations(param);
}

static uint64_t fused_iterations(const algo_problem *p, const int *param) {
  const sizes z = measure(p, param);
  const uint64_t items = (uint64_t)(param[GROUP_T] * param[GROUP_OC]) * group_f(param), k = (uint64_t)param[TILE_K];
  const uint64_t f = (uint64_t)param[ITEM_F], outputs = size_ceil_div(z.tile_oc * z.tile_t, items) + 8;
  const uint64_t chunk = 1 + size_ceil_div(k * z.freqs * z.tile_oc / 4, items) +
                         size_ceil_div(k * z.tile_t, items) * (1 + tile_iterations(param)) +
                         k * (1 + f * (1 + multiply_iterations(param)));
  return size_ceil_div(z.tile_t, items) + 3 * f * (1 + sum_iterations(param)) + z.channels / k * chunk +
         outputs * (1 + tile_iterations(param));
}

/* ---- the model of time: gpu.h has its units. Factors are estimates: what they are to say is which sets are far from the best. */

/* How near the products come to the peak. More sums for each value read from local memory, larger tiles for each read from memory and
 * more steps between barriers help; items below a SIMD width are idle lanes, and many sums leave room for few groups at a time. */
static double efficiency(const int *param) {
  const double t = param[ITEM_T], o = param[ITEM_OC], k = param[TILE_K], tile_t = param[GROUP_T] * t,
               tile_oc = param[GROUP_OC] * o;
  const double item = t * o / (t + o), tile = tile_t * tile_oc / (tile_t + tile_oc);
  const double items = param[GROUP_T] * param[GROUP_OC] * (double)group_f(param);
  const double sums = t * o * (param[ITEM_F] ? param[ITEM_F] : 1);
  return 0.9 * item / (item + 1) * tile / (tile + 8) * k / (k + 0.5) * fmin(1, items / 32) * fmin(1, 96 / sums);
}

/* How much longer the busiest compute unit works than the average one. */
static double busiest(const clvgg_device_info *dev, double groups) {
  const double units = dev->compute_units ? dev->compute_units : 1;
  return ceil(groups / units) * units / groups;
}

static double weight_bytes(const sizes *z) {
  return sizeof(float) * (double)z->freqs * (double)z->channels * (double)z->out_channels;
}

/* Of the batch's input and output. */
static double image_bytes(const algo_problem *p) {
  return sizeof(float) * (double)p->batch * (double)(shape3_elements(p->shape.in) + shape3_elements(p->shape.out));
}

static double staged_model(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const sizes z = measure(p, param);
  const double part = (double)part_tiles(dev, p, &z), parts = ceil((double)z.tiles / part);
  const double freqs = (double)z.freqs, channels = (double)z.channels, out_channels = (double)z.out_channels;
  const double groups = freqs * (part / (double)z.tile_t) * (out_channels / (double)z.tile_oc);
  const double multiply = 2 * freqs * part * parts * channels * out_channels / efficiency(param) * busiest(dev, groups);
  const double scratch = 2 * sizeof(float) * freqs * part * parts * (channels + out_channels);
  return 3 * parts * GPU_FLOPS_A_LAUNCH + multiply + GPU_FLOPS_A_BYTE * (scratch + weight_bytes(&z) + image_bytes(p));
}

/* Operations in the time of a transform's loads and stores in a cache or local memory, and its arithmetic, for each place. */
#define FLOPS_A_PLACE 20
/* When a group's local memory leaves room for no other, nobody computes while it waits. */
#define ALONE 0.8

static double fused_model(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const sizes z = measure(p, param);
  const double blocks = (double)size_ceil_div(z.tiles, z.tile_t), oc_blocks = (double)(z.out_channels / z.tile_oc);
  const double places = (double)z.freqs * blocks * (double)z.tile_t;
  const double together = fused_local_bytes(param) > dev->local_bytes / 2 ? ALONE : 1;
  const double multiply = 2 * places * (double)z.channels * (double)z.out_channels / (efficiency(param) * together);
  const double transforms = FLOPS_A_PLACE * places * ((double)z.channels * oc_blocks + (double)z.out_channels);
  return GPU_FLOPS_A_LAUNCH + (multiply + transforms) * busiest(dev, blocks * oc_blocks) +
         GPU_FLOPS_A_BYTE * (weight_bytes(&z) + image_bytes(p));
}

static double staged_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return gpu_has_model(dev) ? staged_model(dev, p, param) : INFINITY;
}

static double fused_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return gpu_has_model(dev) ? fused_model(dev, p, param) : INFINITY;
}

/* Operations are counted in conv_winograd_gpu.cl: of input_row and output_row, a multiply-add as two. input_times: how often a tile is
 * transformed. */
static void work(const algo_problem *p, const int *param, double tiles, double input_times, double *flops,
                 double *weights) {
  static const double row_flops[2][2] = {{4, 4}, {19, 13}}; /* M = 2, 4 */
  const sizes z = measure(p, param);
  const double m = param[M], n = m + 2, *row = row_flops[param[M] / 2 - 1];
  const double input = 2 * n * row[0] * (double)p->shape.in.c * input_times;
  const double output = (n + m) * row[1] * (double)p->shape.out.c;
  *flops =
      2 * (double)z.freqs * tiles * (double)z.channels * (double)z.out_channels + (input + output) * (double)z.tiles;
  *weights = weight_bytes(&z);
}

static void staged_work(const algo_problem *p, const int *param, double *flops, double *weights) {
  const sizes z = measure(p, param);
  work(p, param, (double)size_round_up(z.tiles, z.tile_t), 1, flops, weights);
}

static void fused_work(const algo_problem *p, const int *param, double *flops, double *weights) {
  const sizes z = measure(p, param);
  work(p, param, (double)size_round_up(z.tiles, z.tile_t), (double)(z.out_channels / z.tile_oc), flops, weights);
}

/* ---- choosing */

static bool fits(const clvgg_device_info *dev, uint64_t local_bytes, const int *param) {
  size_t local[3] = {1, 1, 1};
  group(param, local);
  return local[0] * local[1] * local[2] <= dev->max_work_group && local[0] <= dev->max_work_item[0] &&
         local[1] <= dev->max_work_item[1] && local[2] <= dev->max_work_item[2] && local_bytes <= dev->local_bytes;
}

typedef double (*model_function)(const clvgg_device_info *dev, const algo_problem *p, const int *param);
typedef uint64_t (*bytes_function)(const int *param);

/* As many channels at a time as leave local memory for a second group, so that one computes while the other waits. */
static void choose_depth(const clvgg_device_info *dev, bytes_function local_bytes, int most, int *param) {
  for (param[TILE_K] = most; param[TILE_K] > 1 && local_bytes(param) > dev->local_bytes / 2; param[TILE_K] /= 2) {
  }
}

/* The cheapest by model of the sets that are worth trying and fit; param holds one that needs least. */
static void choose(const clvgg_device_info *dev, const algo_problem *p, const int *places, int depth,
                   model_function model, bytes_function local_bytes, int *param) {
  static const int groups[] = {16, 8, 4, 2, 1}, items[] = {8, 4};
  double best = INFINITY;
  for (size_t g = 0; g < COUNT_OF(groups); g++)
    for (size_t i = 0; i < COUNT_OF(items); i++)
      for (int m = 2; m <= 4; m += 2)
        for (const int *f = places; *f >= 0; f++) {
          char why[ALGO_WHY_BYTES];
          int one[ALGO_MAX_PARAMS] = {groups[g], groups[g], items[i], items[i], depth, m, *f};
          choose_depth(dev, local_bytes, depth, one);
          if (!fits(dev, local_bytes(one), one) || !supports(dev, p, one, why)) continue;
          const double cost = model(dev, p, one);
          if (cost < best) memcpy(param, one, sizeof one), best = cost;
        }
}

static void choose_staged(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  static const int places[] = {0, -1}, least[ALGO_MAX_PARAMS] = {1, 1, 4, 4, 1, 2};
  memcpy(param, least, sizeof least);
  choose(dev, p, places, 8, staged_model, staged_local_bytes, param);
}

static void choose_fused(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  static const int places[] = {1, 2, 4, 16, -1}, least[ALGO_MAX_PARAMS] = {1, 1, 4, 4, 1, 2, 16};
  memcpy(param, least, sizeof least);
  choose(dev, p, places, 4, fused_model, fused_local_bytes, param);
}

/* ---- running */

typedef struct winograd_state {
  algo_state common;           /* kernel: multiply or fused */
  device_kernel input, output; /* staged */
} winograd_state;

/* Halves the work-items of a group, or nearly: those of the larger side, else those that share the places of a tile. False when there is
 * no smaller group. */
static bool make_smaller(int *param) {
  int *larger = &param[param[GROUP_T] > param[GROUP_OC] ? GROUP_T : GROUP_OC];
  if (*larger > 1) {
    *larger /= 2;
    return true;
  }
  const int places = (param[M] + 2) * (param[M] + 2), more = param[ITEM_F] == 4 ? 16 : 2 * param[ITEM_F];
  if (more == 0 || more > 16 || places % more != 0 || more * param[ITEM_T] * param[ITEM_OC] > MOST_SUMS) return false;
  param[ITEM_F] = more;
  return true;
}

/* Builds the kernel that is launched in groups, and again in smaller ones, in inst->param too, as long as the built one allows only
 * those. */
static clvgg_status build_group(algo_instance *inst, const char *name, device_kernel *kernel) {
  for (;;) {
    size_t local[3];
    TRY(algo_build(inst, "conv_winograd_gpu.cl", name, kernel));
    group(inst->param, local);
    const size_t allowed = kernel->max_work_group;
    if (local[0] * local[1] * local[2] <= allowed) return CLVGG_OK;
    device_kernel_release(kernel);
    if (!make_smaller(inst->param))
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s: %s allows groups of %zu for this kernel, which needs %zu",
                       inst->algo->name, device_info(inst->dev)->name, allowed, local[2]);
  }
}

static clvgg_status open_state(algo_instance *inst) {
  inst->state = calloc(1, sizeof(winograd_state));
  return inst->state ? CLVGG_OK : base_fail(CLVGG_ERROR_MEMORY, "%s: no memory", inst->algo->name);
}

static void release(algo_instance *inst) {
  winograd_state *state = inst->state;
  if (state) {
    device_kernel_release(&state->input);
    device_kernel_release(&state->output);
  }
  algo_state_release(inst);
}

static clvgg_status prepare_staged(algo_instance *inst, const layer *l) {
  TRY(open_state(inst));
  winograd_state *state = inst->state;
  TRY(build_group(inst, "conv_f32_nchw_winograd_multiply", &state->common.kernel));
  TRY(algo_build(inst, "conv_winograd_gpu.cl", "conv_f32_nchw_winograd_input", &state->input));
  TRY(algo_build(inst, "conv_winograd_gpu.cl", "conv_f32_nchw_winograd_output", &state->output));
  const sizes z = measure(&inst->problem, inst->param);
  const winograd_order order = {.m = inst->param[M],
                                .in_channels = z.channels,
                                .groups = z.out_channels / z.tile_oc,
                                .group = z.tile_oc,
                                .group_stride = z.tile_oc,
                                .ic_stride = z.out_channels,
                                .freq_stride = z.channels * z.out_channels};
  return winograd_upload(inst->dev, l, &order, &state->common.weights);
}

static clvgg_status prepare_fused(algo_instance *inst, const layer *l) {
  TRY(open_state(inst));
  winograd_state *state = inst->state;
  TRY(build_group(inst, "conv_f32_nchw_winograd_fused", &state->common.kernel));
  const sizes z = measure(&inst->problem, inst->param);
  const winograd_order order = {.m = inst->param[M],
                                .in_channels = z.channels,
                                .groups = z.out_channels / z.tile_oc,
                                .group = z.tile_oc,
                                .group_stride = z.channels * z.freqs * z.tile_oc,
                                .ic_stride = z.freqs * z.tile_oc,
                                .freq_stride = z.tile_oc};
  return winograd_upload(inst->dev, l, &order, &state->common.weights);
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
  const winograd_state *state = inst->state;
  const packed_weights *w = &state->common.weights;
  const layer_shape *s = &inst->problem.shape;
  const sizes z = measure(&inst->problem, inst->param);
  const device_arg input[] = {arg_buffer(in->mem), arg_buffer(workspace->mem), arg_int(first),      arg_int(all),
                              arg_int(tiles),      arg_int(s->in.c),           arg_int(z.channels), arg_int(s->in.h),
                              arg_int(s->in.w),    arg_int(z.tiles_y),         arg_int(z.tiles_x)};
  TRY(launch_transform(inst, &state->input, input, COUNT_OF(input), tiles, z.channels));
  const device_arg multiply[] = {arg_buffer(workspace->mem), arg_buffer(w->panel[0].mem), arg_buffer(workspace->mem),
                                 arg_int(z.channels),        arg_int(z.out_channels),     arg_int(tiles)};
  size_t local[3];
  group(inst->param, local);
  TRY(device_launch(inst->dev, &state->common.kernel, multiply, COUNT_OF(multiply),
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
  return launch_transform(inst, &state->output, output, COUNT_OF(output), tiles, s->out.c);
}

static clvgg_status enqueue_staged(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                                   const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const sizes z = measure(&inst->problem, inst->param);
  const size_t all = batch * z.tiles_y * z.tiles_x;
  const size_t part = part_tiles(device_info(inst->dev), &inst->problem, &z);
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
  const sizes z = measure(&inst->problem, inst->param);
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
  group(inst->param, local);
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
    .params = staged_params,
    .group = group,
    .local_bytes = staged_local_bytes,
    .choose = choose_staged,
    .supports = supports,
    .iterations = staged_iterations,
    .cost = staged_cost,
    .work = staged_work,
    .workspace_bytes = staged_bytes,
    .prepare = prepare_staged,
    .enqueue = enqueue_staged,
    .release = release,
};

const algo algo_conv_winograd_gpu_fused = {
    .name = "conv_f32_nchw_winograd_fused",
    .op = LAYER_CONV,
    .in = ALGO_NCHW,
    .out = ALGO_NCHW,
    .error_growth = 8, /* as the forms for CPUs: F(4, 3)'s constants spread over two orders of magnitude */
    .pools = true,
    .params = fused_params,
    .group = group,
    .local_bytes = fused_local_bytes,
    .choose = choose_fused,
    .supports = supports,
    .iterations = fused_iterations,
    .cost = fused_cost,
    .work = fused_work,
    .prepare = prepare_fused,
    .enqueue = enqueue_fused,
    .release = release,
};
