/* conv_f32_nchwc_winograd_on_the_fly: plain weights, transformed as they are used, for CPUs. See cl/conv_winograd.cl. */
#include "algo/winograd.h"

enum { CHUNK = STRIP + 1 };

static const algo_param params[] = {
    WINOGRAD_PARAMS(2, 4, 6),
    [STRIP] = {"STRIP", "blocks of tiles that a group takes at once", {1, 2, 4, 16}, .launched = true},
    [CHUNK] = {"CHUNK",
               "blocks of input channels whose weights are transformed at once",
               {2, 4, 8, 16},
               .launched = true},
    {0}};

static size_t plain_floats(const geometry *g, const algo_problem *p, const int *param) {
  return g->oc_groups * (size_t)param[OC_BLOCKS] * g->block * layer_row_length(&p->shape);
}

/* 3x3 kernels that are transformed: all of them for each strip of tiles. */
static double kernels(const geometry *g, const int *param, size_t tiles) {
  const size_t strips = size_ceil_div(size_ceil_div(tiles, (size_t)param[TILES]), (size_t)param[STRIP]);
  return (double)(strips * g->ic_blocks * g->oc_groups * (size_t)param[OC_BLOCKS]) * (double)(g->block * g->block);
}

/* Operations counted in conv_winograd.cl: weight_row's for 3 columns and N rows of a kernel, and SCALED's. */
static void work(const algo_problem *p, const int *param, double *flops, double *weights) {
  static const double row_flops[] = {3, 9, 15}; /* M = 2, 4, 6 */
  const geometry g = winograd_measure(p, param);
  const size_t tiles = p->batch * g.tiles_image;
  *flops = winograd_work(p, param, winograd_places(param, tiles)) +
           kernels(&g, param, tiles) * (double)(param[M] + 5) * row_flops[param[M] / 2 - 1] +
           (double)(g.freqs * tiles * g.oc_blocks * g.block);
  *weights = sizeof(float) * (double)plain_floats(&g, p, param);
}

/* ---- the model of time: winograd.h has its units. */

/* A group's sums that stay in its second level cache beside what passes through; operations for each byte of them, and of larger
 * ones, in each chunk of input channels; and for each byte of the transformed tiles, which come from a farther cache for each group of
 * output channels. */
#define SUMS_BYTES         6e5
#define FLOPS_A_NEAR_BYTE  2.0
#define FLOPS_A_SPILT_BYTE 4.0
#define FLOPS_A_TILE_BYTE  0.5

/* Transforming a kernel, M = 2, 4, 6; half where the transformed weights stay in the nearest cache. */
static const double kernel_flops[] = {370, 420, 1400};

/* More channels: sums are read and written less often; fewer: transformed weights stay nearer, where vectors are of 8 in 32 KiB. */
static int chunk_of(const algo_problem *p, const int *param) {
  return (param[M] == 6 || p->block == 8 ? 32 : 64) / (int)p->block;
}

static double cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const geometry g = winograd_measure(p, param);
  const size_t tiles = p->batch * g.tiles_image, groups = blocked_groups(dev);
  const size_t strips = size_ceil_div(size_ceil_div(tiles, (size_t)param[TILES]), (size_t)param[STRIP]);
  const size_t items = g.oc_groups * strips;
  const double busiest = (double)(size_ceil_div(items, groups) * groups) / (double)items;
  const double v = 4.0 * (double)(g.freqs * tiles * g.block) * (double)g.ic_blocks;
  const double multiply = winograd_multiply_cost(&g, param, winograd_places(param, tiles));
  const double place_bytes = 4.0 * (double)(g.freqs * g.block) * (double)param[OC_BLOCKS];
  const double sums = place_bytes * (double)winograd_places(param, tiles) * (double)g.oc_groups;
  const bool kept = place_bytes * param[STRIP] * param[TILES] <= SUMS_BYTES;
  const size_t chunks = size_ceil_div(g.ic_blocks, (size_t)chunk_of(p, param));
  const double transform = kernel_flops[param[M] / 2 - 1] * (p->block == 16 ? 1 : 0.5) * kernels(&g, param, tiles);
  return 2 * FLOPS_A_LAUNCH +
         blocked_overlap(p, busiest * (multiply + transform), sizeof(float) * (double)plain_floats(&g, p, param)) +
         winograd_transform_flops(&g, param, tiles) +
         (kept ? FLOPS_A_NEAR_BYTE : FLOPS_A_SPILT_BYTE) * sums * (double)chunks +
         FLOPS_A_TILE_BYTE * v * (double)g.oc_groups + winograd_scratch_flops(p, winograd_beyond_caches(dev, v));
}

/* ---- choosing */

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  static const int wide[] = {14, 13, 12, 8, 0}, narrow[] = {6, 4, 0}, strips[] = {1, 2, 4, 16, 0};
  winograd_choose(dev, p, params, p->block == 16 ? wide : narrow, strips, cost, param);
  param[CHUNK] = chunk_of(p, param);
}

static size_t images_of(const geometry *g, const algo_problem *p, const int *param) {
  return winograd_images(g, p, param, 0);
}

/* v of tiles tiles. */
static size_t v_floats(const geometry *g, const int *param, size_t tiles) {
  return g->freqs * size_round_up(tiles, (size_t)param[TILES]) * g->ic_blocks * g->block;
}

/* What a group has of its own: sums and transformed weights. */
static size_t group_floats(const geometry *g, const int *param) {
  const size_t step = (size_t)param[OC_BLOCKS] * g->block, rows = 2 * ((size_t)param[M] + 2);
  return g->freqs * ((size_t)param[STRIP] * (size_t)param[TILES] * step + g->block) +
         rows * ((size_t)param[CHUNK] * g->block * step + g->block);
}

static size_t workspace_bytes(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const geometry g = winograd_measure(p, param);
  return sizeof(float) *
         (v_floats(&g, param, images_of(&g, p, param) * g.tiles_image) + blocked_groups(dev) * group_floats(&g, param));
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  return blocked_supported(dev, p, why) && pack_fits(dev, &p->shape, (size_t)param[OC_BLOCKS] * p->block, false, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const geometry g = winograd_measure(p, param);
  const uint64_t blocks = size_ceil_div(p->batch * g.tiles_image, (size_t)param[TILES]);
  /* A group that does everything: blocks of tiles, input channels, and the unrolled loops inside. */
  return g.oc_groups * g.freqs * blocks * g.ic_blocks * g.block *
         (1 + (uint64_t)param[TILES] * (1 + (uint64_t)param[OC_BLOCKS]));
}

/* ---- running */

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  TRY(blocked_build(inst, "conv_winograd.cl", "conv_f32_nchwc_winograd_input", "", &state->prologue));
  TRY(blocked_build(inst, "conv_winograd.cl", "conv_f32_nchwc_winograd_on_the_fly", " -DPLAIN_WEIGHTS",
                    &state->kernel));
  return pack_upload(inst->dev, l, (size_t)inst->param[OC_BLOCKS] * inst->problem.block, &state->weights);
}

/* images images from the first on. */
static clvgg_status enqueue_part(algo_instance *inst, size_t first, size_t images, const device_buffer *in,
                                 const device_buffer *out, const device_buffer *workspace) {
  static const size_t one[3] = {1, 1, 1};
  const algo_state *state = algo_state_of(inst);
  const packed_weights *w = &state->weights;
  const layer_shape *s = &inst->problem.shape;
  const geometry g = winograd_measure(&inst->problem, inst->param);
  const size_t tiles = images * g.tiles_image;
  const device_arg input[] = {arg_buffer(in->mem),  arg_buffer(workspace->mem), arg_int(first),
                              arg_int(g.ic_blocks), arg_int(s->in.h),           arg_int(s->in.w),
                              arg_int(g.tiles_y),   arg_int(g.tiles_x),         arg_int(tiles)};
  TRY(device_launch(inst->dev, &state->prologue, input, COUNT_OF(input), (size_t[]){g.tiles_y, g.ic_blocks, images},
                    one));
  const device_arg rest[] = {arg_buffer(workspace->mem),
                             arg_buffer(w->panel[0].mem),
                             arg_buffer(w->bias.mem),
                             arg_buffer(out->mem),
                             arg_int(first),
                             arg_int(s->in.c),
                             arg_int(g.oc_blocks),
                             arg_int(g.oc_groups),
                             arg_int(s->in.h),
                             arg_int(s->in.w),
                             arg_int(g.tiles_y),
                             arg_int(g.tiles_x),
                             arg_int(tiles),
                             arg_int((size_t)inst->param[STRIP]),
                             arg_int((size_t)inst->param[CHUNK]),
                             arg_int(s->pool),
                             arg_float(algo_lowest(s))};
  return device_launch(inst->dev, &state->kernel, rest, COUNT_OF(rest),
                       (size_t[]){blocked_groups(device_info(inst->dev)), 1, 1}, one);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const geometry g = winograd_measure(&inst->problem, inst->param);
  const size_t most = images_of(&g, &inst->problem, inst->param);
  for (size_t first = 0; first < batch; first += most)
    TRY(enqueue_part(inst, first, batch - first < most ? batch - first : most, in, out, workspace));
  return CLVGG_OK;
}

const algo algo_conv_winograd_on_the_fly = {
    .name = "conv_f32_nchwc_winograd_on_the_fly",
    .op = LAYER_CONV,
    .in = ALGO_NCHWC,
    .out = ALGO_NCHWC,
    .error_growth = 8, /* F(6, 3)'s constants spread over three orders of magnitude */
    .pools = true,
    .params = params,
    .registers = winograd_registers,
    .choose = choose,
    .supports = supports,
    .iterations = iterations,
    .cost = cost,
    .work = work,
    .workspace_bytes = workspace_bytes,
    .prepare = prepare,
    .enqueue = enqueue,
    .release = algo_state_release,
};
