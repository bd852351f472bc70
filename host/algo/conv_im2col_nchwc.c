/* conv_f32_nchwc_im2col: small images as one matrix product, for CPUs. See cl/conv_im2col_nchwc.cl. */
#include <string.h>

#include "algo/blocked.h"

enum { TILES, OC_BLOCKS, IMAGES };

static const algo_param params[] = {
    [TILES] = {"TILES", "pixels that the multiplication keeps in registers", {4, 6, 8, 12, 14}},
    [OC_BLOCKS] = {"OC_BLOCKS", "blocks of output channels that it keeps in registers", {1, 2}},
    [IMAGES] = {"IMAGES", "images that share a reading of the weights", {1, 2, 4, 8, 16}, .launched = true},
    {0},
};

/* Pixels of an image: beyond, a direct convolution reads its weights from a cache often enough. */
#define MOST_PIXELS 256
/* In operations of the multiplication: a value of a neighbourhood, copied and read again. */
#define FLOPS_A_GATHERED_VALUE 8.0

typedef struct geometry {
  size_t ic_blocks, oc_groups, strips, places; /* places: pixels of a strip, rounded up to whole blocks */
} geometry;

static geometry measure(const algo_problem *p, const int *param) {
  const size_t images = (size_t)param[IMAGES], pixels = p->shape.in.h * p->shape.in.w;
  return (geometry){.ic_blocks = size_ceil_div(p->shape.in.c, p->block),
                    .oc_groups = size_ceil_div(p->shape.out.c, p->block * (size_t)param[OC_BLOCKS]),
                    .strips = size_ceil_div(p->batch, images),
                    .places = size_round_up(images * pixels, (size_t)param[TILES])};
}

/* Floats of neighbourhoods and sums that a group keeps. */
static size_t scratch_floats(const algo_problem *p, const int *param) {
  const geometry g = measure(p, param);
  return g.places * p->block * (9 * g.ic_blocks + (size_t)param[OC_BLOCKS]);
}

static double weight_bytes(const algo_problem *p, const int *param) {
  const geometry g = measure(p, param);
  return 36.0 * (double)(g.ic_blocks * g.oc_groups * (size_t)param[OC_BLOCKS]) * (double)(p->block * p->block);
}

/* Operations of one item: a group of output channels of a strip. Blocks of TILES pixels and of one less leave no place empty, if there are
 * enough pixels. */
static double item_flops(const algo_problem *p, const int *param) {
  const geometry g = measure(p, param);
  const size_t pixels = (size_t)param[IMAGES] * p->shape.in.h * p->shape.in.w, blocks = g.places / (size_t)param[TILES];
  const size_t computed = pixels >= g.places - blocks ? pixels : g.places - blocks;
  return 18.0 * (double)computed * (double)(g.ic_blocks * p->block) * (double)(p->block * (size_t)param[OC_BLOCKS]);
}

/* The sums, and a vector of weights and one of an input channel. */
static size_t registers(const int *param) {
  return (size_t)(param[TILES] * param[OC_BLOCKS]) + 2;
}

static double cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const geometry g = measure(p, param);
  const double groups = (double)blocked_groups(dev), items = (double)(g.strips * g.oc_groups);
  const double busiest = (double)size_ceil_div(g.strips * g.oc_groups, blocked_groups(dev)) * groups;
  /* Fewer sums hide less of what the multiplication waits for. */
  const int sums = param[TILES] * param[OC_BLOCKS] * (p->block == 16 ? 1 : 2);
  const double efficiency = sums >= 24 ? 0.85 : sums >= 16 ? 0.75 : 0.6;
  /* Every group that has a share of a strip copies all of it. */
  const double copies = items < groups ? items : (double)g.strips + groups - 1;
  const double gathered = copies * (double)(9 * g.places * g.ic_blocks * p->block);
  const double weights = weight_bytes(p, param);
  return FLOPS_A_LAUNCH + blocked_overlap(p, busiest * item_flops(p, param) / efficiency, weights) +
         FLOPS_A_GATHERED_VALUE * gathered + (weights > CACHE_BYTES ? 2.0 : 0.3) * weights * (double)(g.strips - 1);
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  static const int wide[] = {14, 12, 8, 4, 0}, narrow[] = {6, 4, 0};
  int best[ALGO_MAX_PARAMS] = {0};
  double best_cost = INFINITY;
  param[OC_BLOCKS] = p->shape.out.c > p->block ? 2 : 1;
  for (const int *tiles = p->block == 16 ? wide : narrow; *tiles; tiles++)
    for (const int *images = params[IMAGES].legal; *images; images++) {
      param[TILES] = *tiles;
      param[IMAGES] = *images;
      const double now = cost(dev, p, param);
      if (now < best_cost) memcpy(best, param, sizeof best), best_cost = now;
    }
  memcpy(param, best, sizeof best);
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  if (!blocked_supported(dev, p, why)) return false;
  const size_t pixels = p->shape.in.h * p->shape.in.w;
  if (pixels > MOST_PIXELS)
    return algo_refuse(why, "images of %zu pixels; it is made for those of up to %d", pixels, MOST_PIXELS);
  if (weight_bytes(p, param) > (double)dev->max_alloc_bytes)
    return algo_refuse(why, "weights of %.0f MiB exceed the largest buffer of %llu MiB",
                       weight_bytes(p, param) / 1048576, (unsigned long long)(dev->max_alloc_bytes >> 20));
  return true;
}

static void work(const algo_problem *p, const int *param, double *flops, double *bytes) {
  const geometry g = measure(p, param);
  *flops = (double)(g.strips * g.oc_groups) * item_flops(p, param);
  *bytes = weight_bytes(p, param);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const geometry g = measure(p, param);
  const uint64_t tiles = (uint64_t)param[TILES], oc = (uint64_t)param[OC_BLOCKS], places = g.places;
  const uint64_t gather = places * (3 + g.ic_blocks * (1 + 9));
  const uint64_t multiply = 9 * g.ic_blocks * (1 + p->block * (1 + oc + tiles * (1 + oc))) + 2 * oc * (1 + tiles);
  const uint64_t finish = oc * (1 + 3 * places);
  return g.strips * g.oc_groups * (1 + gather + places / tiles * (1 + multiply) + finish);
}

static size_t workspace_bytes(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return blocked_groups(dev) * scratch_floats(p, param) * sizeof(float);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  TRY(blocked_build(inst, "conv_im2col_nchwc.cl", inst->algo->name, "", &state->kernel));
  return blocked_pack_conv(inst->dev, l, inst->problem.block, (size_t)inst->param[OC_BLOCKS] * inst->problem.block,
                           false, &state->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const algo_state *state = algo_state_of(inst);
  const layer_shape *s = &inst->problem.shape;
  const device_arg args[] = {arg_buffer(in->mem),
                             arg_buffer(state->weights.panel[0].mem),
                             arg_buffer(state->weights.bias.mem),
                             arg_buffer(out->mem),
                             arg_buffer(workspace->mem),
                             arg_int(batch),
                             arg_int(size_ceil_div(s->in.c, inst->problem.block)),
                             arg_int(size_ceil_div(s->out.c, inst->problem.block)),
                             arg_int(s->in.h),
                             arg_int(s->in.w),
                             arg_int((size_t)inst->param[IMAGES]),
                             arg_int(s->pool),
                             arg_float(algo_lowest(s))};
  const size_t one[3] = {1, 1, 1}, global[3] = {blocked_groups(device_info(inst->dev)), 1, 1};
  return device_launch(inst->dev, &state->kernel, args, COUNT_OF(args), global, one);
}

const algo algo_conv_im2col_nchwc = {
    .name = "conv_f32_nchwc_im2col",
    .op = LAYER_CONV,
    .in = ALGO_NCHWC,
    .out = ALGO_NCHWC,
    .pools = true,
    .params = params,
    .registers = registers,
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
