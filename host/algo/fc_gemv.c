/* fc_f32_gemv, fc_f24w_gemv, fc_f16w_gemv and all for blocked activations (nchwc): every weight read once, in memory order; for
 * CPUs. The flattening of blocked activations is in the order of their weights. f24w and f16w store weights smaller. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/blocked.h"
#include "base/half.h"
#include "base/int24.h"
#include "base/parallel.h"

enum { ROWS, IMAGES };

static const algo_param params[] = {
    [ROWS] = {"ROWS", "vectors of rows that a group computes", {1, 2, 4}},
    [IMAGES] = {"IMAGES", "images computed at once", {1, 2, 4, 8, 12}},
    {0},
};

/* How the kernel wants weights of a form: bytes of a weight, bytes at a group's end for each row, and the kernel's macro. */
static const struct {
  size_t weight_bytes, row_bytes;
  const char *option;
} forms[] = {[ALGO_F32] = {sizeof(float), 0, ""},
             [ALGO_F24] = {sizeof(int16_t) + sizeof(uint8_t), sizeof(float), " -DINT24"},
             [ALGO_F16] = {sizeof(uint16_t), 0, " -DHALF"}};

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

static bool fits(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form, char *why) {
  if (!blocked_supported(dev, p, why)) return false;
  if (param[ROWS] * param[IMAGES] > (p->block == 16 ? 24 : 12))
    return algo_refuse(why, "ROWS=%d IMAGES=%d do not fit the vector registers", param[ROWS], param[IMAGES]);
  const double row = (double)forms[form].weight_bytes * (double)stored_inputs(p, true) + (double)forms[form].row_bytes;
  const double bytes = row * (double)group_rows(p, param);
  if (bytes > (double)dev->max_alloc_bytes)
    return algo_refuse(why, "%zu rows of weights exceed the largest buffer of %llu MiB", group_rows(p, param),
                       (unsigned long long)(dev->max_alloc_bytes >> 20));
  return true;
}

static uint64_t iterations(const algo_problem *p, const int *param) {
  const uint64_t images = (uint64_t)param[IMAGES], rows = (uint64_t)param[ROWS];
  return size_ceil_div(p->batch, images) *
         (stored_inputs(p, true) * (1 + rows + images * (1 + rows)) + images * rows * 20);
}

/* Operations in the time that a byte of weights takes, and what another pass over them adds while they are in the cache. */
static double traffic(const algo_problem *p, const int *param, algo_form form) {
  const double weights = (double)layer_weight_count(&p->shape);
  const double passes = (double)size_ceil_div(p->batch, (size_t)param[IMAGES]);
  return 10.0 * weights * ((double)forms[form].weight_bytes + 1.2 * (passes - 1));
}

static void work_of(const algo_problem *p, algo_form form, double *flops, double *bytes) {
  const double weights = (double)layer_weight_count(&p->shape);
  *flops = 2.0 * (double)p->batch * weights;
  *bytes = (double)forms[form].weight_bytes * weights + (double)(forms[form].row_bytes * p->shape.out.c);
}

/* The registry's functions of a form. */
#define OF_FORM(name, form)                                                                                       \
  static bool supports_##name(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) { \
    return fits(dev, p, param, form, why);                                                                        \
  }                                                                                                               \
  static double cost_##name(const clvgg_device_info *dev, const algo_problem *p, const int *param) {              \
    (void)dev;                                                                                                    \
    return traffic(p, param, form);                                                                               \
  }                                                                                                               \
  static void work_##name(const algo_problem *p, const int *param, double *flops, double *weight_bytes) {         \
    (void)param;                                                                                                  \
    work_of(p, form, flops, weight_bytes);                                                                        \
  }
OF_FORM(float, ALGO_F32)
OF_FORM(int24, ALGO_F24)
OF_FORM(half, ALGO_F16)

typedef struct packing {
  const layer *l;
  const algo_problem *problem;
  bool blocked;
  algo_form form;
  size_t step, stored;            /* rows of a group, inputs as they lie in memory */
  size_t step_bytes, group_bytes; /* weights of one input, and of all with what is at their end */
  size_t first_group;             /* of the mapped piece */
  char *out; /* (groups) of (stored, step) weights in their form, and step times what a row has at the end */
  atomic_bool no_memory, unfit;
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

/* The scales of a group's rows, those beyond the last included. False when a row has weights that are not finite. */
static bool find_scales(const packing *k, size_t group, size_t rows, float *part, float *scales) {
  const size_t length = layer_row_length(&k->l->shape);
  bool finite = true;
  for (size_t r = 0; r < k->step; r++) {
    float largest = 0;
    for (size_t at = 0; r < rows && at < length; at += READ) {
      const size_t now = length - at < READ ? length - at : READ;
      read_columns(k->l, group * k->step + r, at, now, part);
      largest = int24_largest(part, now, largest);
    }
    finite &= isfinite(largest) != 0;
    scales[r] = int24_scale(largest);
  }
  return finite;
}

/* The weights of one input. False when one of them does not fit. */
static bool store(const packing *k, const float *values, const float *scales, char *to) {
  void *at = to;
  switch (k->form) {
    case ALGO_F24:
      float_to_int24_array(values, scales, k->step, at, (uint8_t *)at + k->step * sizeof(int16_t));
      return true;
    case ALGO_F16:
      return float_to_half_array(values, at, k->step);
    case ALGO_F32:
    case ALGO_F16_MATH: /* no row here */
    case ALGO_BF16_MATH:
      break;
  }
  memcpy(to, values, k->step * sizeof *values);
  return true;
}

/* Columns first .. first + count - 1 (count <= COLUMNS) of a group, from rows of READ. */
static bool pack_columns(const packing *k, const float *from, size_t rows, const float *scales, size_t first,
                         size_t count, char *group) {
  float columns[COLUMNS][STEPS];
  bool all_fit = true;
  for (size_t r = 0; r < k->step; r++)
    for (size_t c = 0; c < count; c++) columns[c][r] = r < rows ? from[r * READ + c] : 0;
  for (size_t c = 0; c < count; c++)
    all_fit &= store(k, columns[c], scales, group + column(k, first + c) * k->step_bytes);
  return all_fit;
}

static void pack_group(size_t i, void *context) {
  packing *k = context;
  const size_t group = k->first_group + i, length = layer_row_length(&k->l->shape);
  const size_t rows_left = k->l->shape.out.c - group * k->step, rows = rows_left < k->step ? rows_left : k->step;
  char *to = k->out + i * k->group_bytes;
  float scales[STEPS];
  float *part = malloc(sizeof *part * (size_t)STEPS * (size_t)READ); /* (rows, READ) */
  if (!part) {
    k->no_memory = true;
    return;
  }
  bool all_fit = true;
  if (k->form == ALGO_F24) {
    all_fit = find_scales(k, group, rows, part, scales);
    memcpy(to + k->stored * k->step_bytes, scales, k->step * sizeof *scales);
  }
  if (k->stored != length) memset(to, 0, k->stored * k->step_bytes);
  for (size_t at = 0; all_fit && at < length; at += READ) {
    const size_t now = length - at < READ ? length - at : READ;
    for (size_t r = 0; r < rows; r++) read_columns(k->l, group * k->step + r, at, now, part + r * READ);
    for (size_t c = 0; c < now; c += COLUMNS)
      all_fit &= pack_columns(k, part + c, rows, scales, at + c, now - c < COLUMNS ? now - c : COLUMNS, to);
  }
  if (!all_fit) k->unfit = true;
  free(part);
}

/* Groups are packed straight into the device's buffer, in pieces of about this many bytes. */
#define PIECE_BYTES ((size_t)64 << 20)

static clvgg_status fill_panel(algo_instance *inst, packing *k, size_t first_group, size_t groups,
                               const device_buffer *panel) {
  const size_t most = PIECE_BYTES / k->group_bytes ? PIECE_BYTES / k->group_bytes : 1;
  for (size_t done = 0; done < groups;) {
    const size_t now = groups - done < most ? groups - done : most;
    void *mapped;
    TRY(device_map(inst->dev, panel, done * k->group_bytes, now * k->group_bytes, &mapped));
    k->first_group = first_group + done;
    k->out = mapped;
    parallel_for(now, pack_group, k);
    TRY(device_unmap(inst->dev, panel, mapped));
    if (k->no_memory) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %s's weights", k->l->name);
    if (k->unfit)
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s has weights %s cannot hold; use f32", k->l->name,
                       k->form == ALGO_F16 ? "of 65520 or more, which half precision"
                                           : "that are not finite, which integers of 24 bits");
    done += now;
  }
  return CLVGG_OK;
}

static clvgg_status upload(algo_instance *inst, const layer *l, packed_weights *w) {
  packing k = {.l = l,
               .problem = &inst->problem,
               .blocked = is_blocked(inst),
               .form = inst->algo->form,
               .step = group_rows(&inst->problem, inst->param),
               .stored = stored_inputs(&inst->problem, is_blocked(inst))};
  k.step_bytes = k.step * forms[k.form].weight_bytes;
  k.group_bytes = k.stored * k.step_bytes + k.step * forms[k.form].row_bytes; /* fits a buffer: supports was asked */
  const size_t groups = size_ceil_div(l->shape.out.c, k.step);
  const size_t limit = (size_t)device_info(inst->dev)->max_alloc_bytes / k.group_bytes;
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
    status = device_buffer_create(inst->dev, count * k.group_bytes, &w->panel[i]);
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
  char more[80];
  snprintf(more, sizeof more, " -DKERNEL_NAME=%s%s", inst->algo->name, forms[inst->algo->form].option);
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

#define GEMV(text, layout, stored_as, error, function)                                                              \
  {                                                                                                                 \
    .name = (text), .op = LAYER_FC, .in = (layout), .out = ALGO_NCHW, .form = (stored_as), .weight_error = (error), \
    .params = params, .choose = choose, .supports = supports_##function, .iterations = iterations,                  \
    .cost = cost_##function, .work = work_##function, .prepare = prepare, .enqueue = enqueue,                       \
    .release = algo_state_release                                                                                   \
  }

const algo algo_fc_gemv = GEMV("fc_f32_gemv", ALGO_NCHW, ALGO_F32, 0, float);
const algo algo_fc_gemv_nchwc = GEMV("fc_f32_nchwc_gemv", ALGO_NCHWC, ALGO_F32, 0, float);
const algo algo_fc_gemv_int24 = GEMV("fc_f24w_gemv", ALGO_NCHW, ALGO_F24, 0x1p-24, int24);
const algo algo_fc_gemv_int24_nchwc = GEMV("fc_f24w_nchwc_gemv", ALGO_NCHWC, ALGO_F24, 0x1p-24, int24);
const algo algo_fc_gemv_half = GEMV("fc_f16w_gemv", ALGO_NCHW, ALGO_F16, 0x1p-11, half);
const algo algo_fc_gemv_half_nchwc = GEMV("fc_f16w_nchwc_gemv", ALGO_NCHWC, ALGO_F16, 0x1p-11, half);
