/* fc_f32_gemv, fc_f16w_gemv and both for blocked activations (nchwc): every weight read once, in memory order; for CPUs. The
 * flattening of blocked activations is in the order of their weights. f16w stores weights in half precision. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/blocked.h"
#include "base/half.h"
#include "base/parallel.h"

enum { ROWS, IMAGES };

static const algo_param params[] = {
    [ROWS] = {"ROWS", "vectors of rows that a group computes", {1, 2, 4}},
    [IMAGES] = {"IMAGES", "images computed at once", {1, 2, 4, 8, 12}},
    {0},
};

static bool is_blocked(const algo_instance *inst) {
  return inst->algo->in == ALGO_NCHWC;
}

/* Inputs as they lie in memory, surplus channels of the last block included. */
static size_t stored_inputs(const algo_problem *p, bool blocked) {
  const shape3 in = p->shape.in;
  return (blocked ? size_round_up(in.c, p->block) : in.c) * in.h * in.w;
}

static size_t group_rows(const algo_problem *p, const int *param) {
  return (size_t)param[ROWS] * p->block;
}

static void choose(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  (void)dev;
  /* As many images as the registers hold sums for, so that a batch needs few passes over the weights; AVX-512 has 32 of them,
   * AVX and SSE 16. More rows only where images are few. */
  const bool wide = p->block == 16;
  const int images = p->batch > 8 && wide ? 12 : p->batch > 4 && wide ? 8 : p->batch > 2 ? 4 : p->batch > 1 ? 2 : 1;
  param[IMAGES] = images;
  param[ROWS] = images <= (wide ? 4 : 2) ? (wide ? 4 : 2) : 2;
}

static bool fits(const clvgg_device_info *dev, const algo_problem *p, const int *param, double weight_bytes,
                 char *why) {
  if (!blocked_supported(dev, p, why)) return false;
  if (param[ROWS] * param[IMAGES] > (p->block == 16 ? 24 : 12))
    return algo_refuse(why, "ROWS=%d IMAGES=%d do not fit the vector registers", param[ROWS], param[IMAGES]);
  const double bytes = weight_bytes * (double)stored_inputs(p, true) * (double)group_rows(p, param);
  if (bytes > (double)dev->max_alloc_bytes)
    return algo_refuse(why, "%zu rows of weights exceed the largest buffer of %llu MiB", group_rows(p, param),
                       (unsigned long long)(dev->max_alloc_bytes >> 20));
  return true;
}

static bool supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  return fits(dev, p, param, 4, why);
}

static bool supports_half(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  return fits(dev, p, param, 2, why);
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t images = (uint64_t)param[IMAGES], rows = (uint64_t)param[ROWS];
  return size_ceil_div(p->batch, images) *
         (stored_inputs(p, true) * (1 + rows + images * (1 + rows)) + images * rows * 20);
}

/* Operations in the time that a byte of weights takes, and what another pass over them adds while they are in the cache. */
static double traffic(const algo_problem *p, const int *param, double weight_bytes) {
  const double weights = (double)layer_row_length(&p->shape) * (double)p->shape.out.c;
  const double passes = (double)size_ceil_div(p->batch, (size_t)param[IMAGES]);
  return 10.0 * weights * (weight_bytes + 1.2 * (passes - 1));
}

static double cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  (void)dev;
  return traffic(p, param, 4);
}

static double cost_half(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  (void)dev;
  return traffic(p, param, 2);
}

static void work_of(const algo_problem *p, double weight_bytes, double *flops, double *bytes) {
  *flops = 2.0 * (double)p->batch * (double)layer_row_length(&p->shape) * (double)p->shape.out.c;
  *bytes = weight_bytes * (double)layer_row_length(&p->shape) * (double)p->shape.out.c;
}

static void work(const algo_problem *p, const int *param, double *flops, double *weight_bytes) {
  (void)param;
  work_of(p, 4, flops, weight_bytes);
}

static void work_half(const algo_problem *p, const int *param, double *flops, double *weight_bytes) {
  (void)param;
  work_of(p, 2, flops, weight_bytes);
}

typedef struct packing {
  const layer *l;
  const algo_problem *problem;
  bool blocked, half;
  size_t element;                   /* bytes of a stored weight */
  size_t step, stored, first_group; /* first_group: of the mapped piece */
  char *out;                        /* (groups, stored, step) of float, or of half */
  atomic_bool no_memory, overflow;
} packing;

/* Column k of a row, (c, y, x) in that order, at its place in memory. */
static size_t column(const packing *k, size_t i) {
  if (!k->blocked) return i;
  const size_t pixels = k->problem->shape.in.h * k->problem->shape.in.w, c = i / pixels, block = k->problem->block;
  return (c / block * pixels + i % pixels) * block + c % block;
}

#define STEPS   (4 * 16) /* the most rows of a group */
#define COLUMNS 16       /* turned at a time: what is written stays in the nearest cache */
#define READ    256      /* columns read at a time: all rows of a group stay in the second level cache */

/* layer_read_rows for a part of one row. */
static void read_columns(const layer *l, size_t row, size_t first, size_t count, float *out) {
  tensor_read(l->weight, row * layer_row_length(&l->shape) + first, count, out);
  for (size_t i = 0; l->scale && i < count; i++) out[i] *= l->scale[row];
}

static bool store(const packing *k, const float *values, char *to) {
  if (k->half) return float_to_half_array(values, (uint16_t *)(void *)to, k->step);
  memcpy(to, values, k->step * sizeof *values);
  return true;
}

/* Columns first .. first + count - 1 (count <= COLUMNS) of a group, from rows of READ. */
static bool pack_columns(const packing *k, const float *from, size_t rows, size_t first, size_t count, char *group) {
  float columns[COLUMNS][STEPS];
  bool fits_half = true;
  for (size_t r = 0; r < k->step; r++)
    for (size_t c = 0; c < count; c++) columns[c][r] = r < rows ? from[r * READ + c] : 0;
  for (size_t c = 0; c < count; c++)
    fits_half &= store(k, columns[c], group + column(k, first + c) * k->step * k->element);
  return fits_half;
}

static void pack_group(size_t i, void *context) {
  packing *k = context;
  const size_t group = k->first_group + i, length = layer_row_length(&k->l->shape);
  const size_t rows_left = k->l->shape.out.c - group * k->step, rows = rows_left < k->step ? rows_left : k->step;
  const size_t group_bytes = k->stored * k->step * k->element;
  char *to = k->out + i * group_bytes;
  float *part = malloc(sizeof *part * (size_t)STEPS * (size_t)READ); /* (rows, READ) */
  if (!part) {
    k->no_memory = true;
    return;
  }
  if (k->stored != length) memset(to, 0, group_bytes);
  bool fits_half = true;
  for (size_t at = 0; at < length; at += READ) {
    const size_t now = length - at < READ ? length - at : READ;
    for (size_t r = 0; r < rows; r++) read_columns(k->l, group * k->step + r, at, now, part + r * READ);
    for (size_t c = 0; c < now; c += COLUMNS)
      fits_half &= pack_columns(k, part + c, rows, at + c, now - c < COLUMNS ? now - c : COLUMNS, to);
  }
  if (!fits_half) k->overflow = true;
  free(part);
}

/* Groups are packed straight into the device's buffer, in pieces of about this many bytes. */
#define PIECE_BYTES ((size_t)64 << 20)

static clvgg_status fill_panel(algo_instance *inst, packing *k, size_t first_group, size_t groups,
                               const device_buffer *panel) {
  const size_t group_bytes = k->stored * k->step * k->element;
  const size_t most = PIECE_BYTES / group_bytes ? PIECE_BYTES / group_bytes : 1;
  for (size_t done = 0; done < groups;) {
    const size_t now = groups - done < most ? groups - done : most;
    void *mapped;
    TRY(device_map(inst->dev, panel, done * group_bytes, now * group_bytes, &mapped));
    k->first_group = first_group + done;
    k->out = mapped;
    parallel_for(now, pack_group, k);
    TRY(device_unmap(inst->dev, panel, mapped));
    if (k->no_memory) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %s's weights", k->l->name);
    if (k->overflow)
      return base_fail(CLVGG_ERROR_UNSUPPORTED,
                       "%s has weights of 65520 or more, which half precision cannot hold; use f32", k->l->name);
    done += now;
  }
  return CLVGG_OK;
}

static clvgg_status upload(algo_instance *inst, const layer *l, packed_weights *w) {
  packing k = {.l = l,
               .problem = &inst->problem,
               .blocked = is_blocked(inst),
               .half = inst->algo->f16_weights,
               .element = inst->algo->f16_weights ? sizeof(uint16_t) : sizeof(float),
               .step = group_rows(&inst->problem, inst->param),
               .stored = stored_inputs(&inst->problem, is_blocked(inst))};
  const size_t groups = size_ceil_div(l->shape.out.c, k.step), group_bytes = k.stored * k.step * k.element;
  const size_t limit = (size_t)device_info(inst->dev)->max_alloc_bytes / group_bytes;
  const size_t panel_groups = groups < limit ? groups : limit;
  *w = (packed_weights){.rows = l->shape.out.c,
                        .length = k.stored,
                        .group = k.step,
                        .panel_rows = panel_groups * k.step,
                        .panels = size_ceil_div(groups, panel_groups)};
  w->panel = calloc(w->panels, sizeof *w->panel);
  if (!w->panel) w->panels = 0;
  float *bias = calloc(groups * k.step, sizeof *bias);
  clvgg_status status = w->panel && bias ? CLVGG_OK : base_fail(CLVGG_ERROR_MEMORY, "no memory for %s", l->name);
  for (size_t i = 0; i < w->panels && !status; i++) {
    const size_t first = i * panel_groups, count = groups - first < panel_groups ? groups - first : panel_groups;
    status = device_buffer_create(inst->dev, count * group_bytes, &w->panel[i]);
    if (!status) status = fill_panel(inst, &k, first, count, &w->panel[i]);
  }
  if (!status) status = device_buffer_create(inst->dev, groups * k.step * sizeof *bias, &w->bias);
  if (!status) {
    memcpy(bias, l->bias, l->shape.out.c * sizeof *bias);
    status = device_write(inst->dev, &w->bias, 0, bias, groups * k.step * sizeof *bias);
  }
  free(bias);
  return status;
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  TRY(algo_state_open(inst));
  const bool half = inst->algo->f16_weights;
  char more[80];
  snprintf(more, sizeof more, " -DKERNEL_NAME=%s%s", inst->algo->name, half ? " -DHALF" : "");
  TRY(blocked_build(inst, "fc_gemv.cl", inst->algo->name, more, &algo_state_of(inst)->kernel));
  return upload(inst, l, &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const algo_state *state = algo_state_of(inst);
  const packed_weights *w = &state->weights;
  for (size_t i = 0; i < w->panels; i++) {
    const device_arg args[] = {arg_buffer(in->mem),
                               arg_buffer(w->panel[i].mem),
                               arg_buffer(w->bias.mem),
                               arg_buffer(out->mem),
                               arg_int(batch),
                               arg_int(w->length),
                               arg_int(w->rows),
                               arg_int(pack_first_row(w, i)),
                               arg_float(algo_lowest(&inst->problem.shape))};
    const size_t groups = size_ceil_div(pack_row_count(w, i), w->group);
    TRY(device_launch(inst->dev, &state->kernel, args, COUNT_OF(args), (size_t[]){groups, 1, 1}, (size_t[]){1, 1, 1}));
  }
  return CLVGG_OK;
}

#define GEMV(text, layout, can, model, half)                                                          \
  {                                                                                                   \
    .name = (text), .op = LAYER_FC, .in = (layout), .out = ALGO_NCHW, .f16_weights = (half),          \
    .weight_error = (half) ? 0x1p-11 : 0, .params = params, .choose = choose, .supports = (can),      \
    .iterations = iterations, .cost = (model), .work = (half) ? work_half : work, .prepare = prepare, \
    .enqueue = enqueue, .release = algo_state_release                                                 \
  }

const algo algo_fc_gemv = GEMV("fc_f32_gemv", ALGO_NCHW, supports, cost, false);
const algo algo_fc_gemv_nchwc = GEMV("fc_f32_nchwc_gemv", ALGO_NCHWC, supports, cost, false);
const algo algo_fc_gemv_half = GEMV("fc_f16w_gemv", ALGO_NCHW, supports_half, cost_half, true);
const algo algo_fc_gemv_half_nchwc = GEMV("fc_f16w_nchwc_gemv", ALGO_NCHWC, supports_half, cost_half, true);
