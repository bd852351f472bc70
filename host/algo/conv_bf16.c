/* conv_bf16_nchwc_amx and conv_bf16_nchwc_avx512: direct convolution by x86 instructions that multiply bf16. See
 * cl/conv_bf16_nchwc.cl. */
#include "algo/conv_bf16.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/blocked.h"
#include "base/half.h"

enum { BLOCK, TILES_OC, ROWS };

/* BLOCK is the only one that differs; rows are a launch's, as many as make a strip. */
#define SHARED_PARAMS                                                                \
  [TILES_OC] = {"TILES_OC", "times 16 output channels whose sums are kept", {1, 2}}, \
  [ROWS] = {"ROWS", "rows of pixels that share a reading of the weights", {2, 4, 8, 16, 32, 64}, .launched = true}

static const algo_param amx_params[] = {
    [BLOCK] = {"TILES_PX", "tiles of 16 pixels whose sums are kept", {1, 2}}, SHARED_PARAMS, {0}};
static const algo_param avx512_params[] = {
    [BLOCK] = {"PX", "pixels whose sums are kept in registers", {7, 14}}, SHARED_PARAMS, {0}};

/* As declared in conv_bf16_nchwc.cl. */
#define LANES 16
#define CHUNK 32
#define TAPS  9

/* What differs between the two. */
typedef struct unit {
  size_t pixels;               /* of a block are so many times its parameter */
  double sums_a_cycle;         /* products that are added in a cycle */
  const char *needs, *options; /* for people; of the build */
  const algo_param *params;
} unit;

/*
 * From the rates of instructions. tdpbf16ps, which no processor has run here, adds 16 x 16 x 32 products every 16 cycles (Intel 64 and IA-32
 * Architectures Optimization Reference Manual, "Intel AMX"), 16 times as many as two units for f32 of 16 lanes do. Two units for vdpbf16ps,
 * which is the most that there can be, and what Zen 5 has, add twice as many as those for f32.
 */
static const unit amx = {LANES, 512, "AMX-BF16", " -DAMX", amx_params};
static const unit avx512 = {1, 64, "AVX512-BF16", "", avx512_params};
/* Of 16 pixels or 16 output channels: their 16 lines go on beside products, but count half. */
#define FETCH_CYCLES 8.0

static const unit *unit_of(const algo *a) {
  return a->params == amx_params ? &amx : &avx512;
}

/* ---- sizes */

typedef struct geometry {
  size_t chunks, oc_groups, step; /* step: output channels of a group */
  size_t pitch;                   /* rows from one image to the next */
  size_t all_rows, rows, strips;  /* rows: of a strip */
  size_t pixels, places;          /* of a strip, in whole blocks; and with their neighbours */
} geometry;

static geometry measure(const algo_problem *p, const int *param, const unit *u) {
  const layer_shape *s = &p->shape;
  const size_t row = s->in.w + 1;
  geometry g = {.chunks = size_ceil_div(s->in.c, CHUNK), .step = (size_t)param[TILES_OC] * LANES};
  g.oc_groups = size_ceil_div(s->out.c, g.step);
  g.pitch = size_round_up(s->in.h + 1, s->pool ? 2 : 1);
  g.all_rows = (p->batch - 1) * g.pitch + s->in.h;
  g.rows = (size_t)param[ROWS] < g.all_rows ? (size_t)param[ROWS] : size_round_up(g.all_rows, 2);
  g.strips = size_ceil_div(g.all_rows, g.rows);
  g.pixels = size_round_up(g.rows * row - 1, (size_t)param[BLOCK] * u->pixels);
  /* The last pixel's last neighbour, or what is filled of the last row's. */
  g.places = g.pixels + 2 * row + 2;
  return g;
}

/* A group's rounded inputs and its sums. */
static size_t scratch_bytes(const geometry *g) {
  return g->chunks * g->places * CHUNK * sizeof(uint16_t) + g->pixels * g->step * sizeof(float);
}

static double weight_bytes(const geometry *g) {
  return (double)sizeof(uint16_t) * (double)(g->oc_groups * g->step) * (double)(g->chunks * CHUNK * TAPS);
}

/* ---- the model of time, in operations of f32 at their peak */

/* Two units of as many lanes as a block has, an operation being half of what they do to a lane. */
static double flops_a_cycle(const algo_problem *p) {
  return 4.0 * (double)p->block;
}

/* Rounding takes some eight operations on integers, loads and stores not counted; sums are read again, and written. */
#define FLOPS_A_GATHERED_VALUE 20.0
#define FLOPS_A_SUM            12.0

/* A strip and a group of output channels. */
static double item_flops(const algo_problem *p, const int *param, const unit *u) {
  const geometry g = measure(p, param, u);
  const double blocks = (double)g.pixels / (double)((size_t)param[BLOCK] * u->pixels);
  const double pixels = (double)param[BLOCK] * (double)u->pixels, channels = (double)g.step;
  const double steps = (double)(g.chunks * TAPS);
  const double cycles = pixels * channels * CHUNK / u->sums_a_cycle + FETCH_CYCLES * (pixels + channels) / LANES;
  return flops_a_cycle(p) * blocks * steps * cycles + FLOPS_A_SUM * (double)g.pixels * channels;
}

static double cost_with(const clvgg_device_info *dev, const algo_problem *p, const int *param, const unit *u) {
  const geometry g = measure(p, param, u);
  const size_t items = g.strips * g.oc_groups, groups = blocked_groups(dev);
  const double busiest = (double)(size_ceil_div(items, groups) * groups);
  /* Every group that has a share of a strip rounds all of it. */
  const double copies = (double)(items < groups ? items : g.strips + groups - 1);
  const double gathered = copies * (double)(g.chunks * g.places * CHUNK);
  const double weights = weight_bytes(&g);
  const bool cached = weights + (double)scratch_bytes(&g) <= CACHE_BYTES;
  /* As conv_f32_nchwc_im2col has it: weights that are read again, and here a strip that does not stay in the cache. */
  const double spilt = fmax(0, (double)scratch_bytes(&g) - CACHE_BYTES) * (double)g.oc_groups * copies;
  return FLOPS_A_LAUNCH + blocked_overlap(p, busiest * item_flops(p, param, u), weights) +
         FLOPS_A_GATHERED_VALUE * gathered + (cached ? 0.3 : 2.0) * weights * (double)(g.strips - 1) + 2.0 * spilt;
}

/* ---- the rule */

static void choose_with(const clvgg_device_info *dev, const algo_problem *p, const unit *u, int *param) {
  const algo_param *params = u->params;
  int best[ALGO_MAX_PARAMS] = {0};
  double best_cost = INFINITY;
  for (const int *block = params[BLOCK].legal; *block; block++)
    for (const int *oc = params[TILES_OC].legal; *oc; oc++)
      for (const int *rows = params[ROWS].legal; *rows; rows++) {
        param[BLOCK] = *block, param[TILES_OC] = *oc, param[ROWS] = *rows;
        const double now = cost_with(dev, p, param, u);
        if (now < best_cost) memcpy(best, param, sizeof best), best_cost = now;
      }
  memcpy(param, best, sizeof best);
}

static bool supports_with(const clvgg_device_info *dev, const algo_problem *p, const int *param, const unit *u,
                          char *why) {
  if (!blocked_supported(dev, p, why)) return false;
  if (!(u == &amx ? dev->amx_bf16 : dev->avx512_bf16))
    return algo_refuse(why, "it needs %s, which the device is not known to have", u->needs);
  const geometry g = measure(p, param, u);
  if (weight_bytes(&g) > (double)dev->max_alloc_bytes)
    return algo_refuse(why, "weights of %.0f MiB exceed the largest buffer of %llu MiB", weight_bytes(&g) / 1048576,
                       (unsigned long long)(dev->max_alloc_bytes >> 20));
  /* Rows of zeros are not in the activations' own sizes. */
  if ((double)g.places * (double)(g.chunks * CHUNK) > INT32_MAX || g.all_rows > INT32_MAX)
    return algo_refuse(why, "a strip of %zu places needs more than 32-bit indices", g.places);
  return true;
}

static uint64_t iterations_with(const algo_problem *p, const int *param, const unit *u) {
  const geometry g = measure(p, param, u);
  const uint64_t oc = (uint64_t)param[TILES_OC], px = (uint64_t)param[BLOCK];
  const uint64_t gather = g.chunks * (1 + 2 * g.rows + 4 + g.places * (1 + CHUNK / p->block));
  const uint64_t step = u == &amx ? 1 : 1 + LANES * (1 + oc + px * (1 + oc));
  const uint64_t block = 1 + 2 * oc * (1 + px) + g.chunks * (1 + TAPS * step);
  const uint64_t blocks = g.pixels / ((size_t)param[BLOCK] * u->pixels);
  const uint64_t finish = g.step / p->block * (1 + g.rows * (2 + p->shape.in.w));
  return 8 + g.strips * g.oc_groups * (1 + gather + blocks * block + finish);
}

static void work_with(const algo_problem *p, const int *param, const unit *u, double *flops, double *bytes) {
  const geometry g = measure(p, param, u);
  *flops = 2.0 * (double)(g.strips * g.pixels) * (double)(g.oc_groups * g.step) * (double)(g.chunks * CHUNK * TAPS);
  *bytes = weight_bytes(&g);
}

/* ---- weights */

typedef struct places {
  size_t ics, chunks, step;
  uint16_t *out; /* (groups, chunks, 9, step / 16, 16, 16, 2), zeroed */
} places;

static void place_group(const float *weights, size_t rows, size_t group, void *context) {
  const places *k = context;
  uint16_t *out = k->out + group * k->chunks * TAPS * k->step * CHUNK;
  for (size_t r = 0; r < rows; r++)
    for (size_t ic = 0; ic < k->ics; ic++)
      for (size_t tap = 0; tap < TAPS; tap++) {
        const size_t tile = ((ic / CHUNK) * TAPS + tap) * (k->step / LANES) + r / LANES;
        const size_t place = (ic % CHUNK / 2 * LANES + r % LANES) * 2 + ic % 2;
        out[tile * LANES * CHUNK + place] = float_to_bfloat16(weights[(r * k->ics + ic) * TAPS + tap]);
      }
}

static clvgg_status upload_weights(algo_instance *inst, const layer *l, packed_weights *out) {
  const geometry g = measure(&inst->problem, inst->param, unit_of(inst->algo));
  places k = {.ics = l->shape.in.c, .chunks = g.chunks, .step = g.step};
  const size_t count = g.oc_groups * g.step * g.chunks * CHUNK * TAPS;
  k.out = calloc(count, sizeof *k.out);
  if (!k.out) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %s's packed weights", l->name);
  clvgg_status status = blocked_pack(l, g.step, place_group, &k);
  if (!status) status = blocked_open(inst->dev, count * sizeof *k.out, l, g.oc_groups * g.step, out);
  if (!status) status = device_write(inst->dev, &out->panel[0], 0, k.out, count * sizeof *k.out);
  free(k.out);
  return status;
}

/* ---- running */

clvgg_status conv_bf16_prepare(algo_instance *inst, const layer *l, const char *options) {
  char more[64];
  TRY(algo_state_open(inst));
  algo_state *state = algo_state_of(inst);
  snprintf(more, sizeof more, "%s%s", unit_of(inst->algo)->options, options);
  TRY(blocked_build(inst, "conv_bf16_nchwc.cl", inst->algo->name, more, &state->kernel));
  return upload_weights(inst, l, &state->weights);
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  return conv_bf16_prepare(inst, l, "");
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const algo_state *state = algo_state_of(inst);
  const layer_shape *s = &inst->problem.shape;
  const geometry g = measure(&inst->problem, inst->param, unit_of(inst->algo));
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
                             arg_int(g.pitch),
                             arg_int(g.rows),
                             arg_int(g.places),
                             arg_int(g.pixels),
                             arg_int(s->pool),
                             arg_float(algo_lowest(s))};
  const size_t one[3] = {1, 1, 1}, global[3] = {blocked_groups(device_info(inst->dev)), 1, 1};
  return device_launch(inst->dev, &state->kernel, args, COUNT_OF(args), global, one);
}

/* Those of a unit. */
#define OF_UNIT(its)                                                                                             \
  static void choose_##its(const clvgg_device_info *dev, const algo_problem *p, int *param) {                    \
    choose_with(dev, p, &(its), param);                                                                          \
  }                                                                                                              \
  static bool supports_##its(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) { \
    return supports_with(dev, p, param, &(its), why);                                                            \
  }                                                                                                              \
  static uint64_t iterations_##its(const algo_problem *p, const int *param) {                                    \
    return iterations_with(p, param, &(its));                                                                    \
  }                                                                                                              \
  static double cost_##its(const clvgg_device_info *dev, const algo_problem *p, const int *param) {              \
    return cost_with(dev, p, param, &(its));                                                                     \
  }                                                                                                              \
  static void work_##its(const algo_problem *p, const int *param, double *flops, double *bytes) {                \
    work_with(p, param, &(its), flops, bytes);                                                                   \
  }                                                                                                              \
  static size_t workspace_##its(const clvgg_device_info *dev, const algo_problem *p, const int *param) {         \
    const geometry g = measure(p, param, &(its));                                                                \
    return blocked_groups(dev) * scratch_bytes(&g);                                                              \
  }
OF_UNIT(amx)
OF_UNIT(avx512)

/* Weights and inputs are each rounded by up to u = 2^-9; products of bf16 are exact in f32. Errors of two kinds with any signs are
 * together sqrt(2) u, less than 2^-8. */
#define BF16(text, its)                                                                                           \
  {                                                                                                               \
    .name = (text), .op = LAYER_CONV, .in = ALGO_NCHWC, .out = ALGO_NCHWC, .pools = true, .form = ALGO_BF16_MATH, \
    .weight_error = 0x1p-8, .params = its##_params, .choose = choose_##its, .supports = supports_##its,           \
    .iterations = iterations_##its, .cost = cost_##its, .work = work_##its, .workspace_bytes = workspace_##its,   \
    .prepare = prepare, .enqueue = enqueue, .release = algo_state_release                                         \
  }

const algo algo_conv_bf16_amx = BF16("conv_bf16_nchwc_amx", amx);
const algo algo_conv_bf16_avx512 = BF16("conv_bf16_nchwc_avx512", avx512);
