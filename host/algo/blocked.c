/* What the algorithms on blocked activations share: where they run, builds, uploads. */
#include "algo/blocked.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"

bool blocked_supported(const clvgg_device_info *dev, const algo_problem *p, char *why) {
  if (dev->type != CLVGG_DEVICE_CPU) return algo_refuse(why, "made for CPUs: its work-groups are single work-items");
  if (p->block != 4 && p->block != 8 && p->block != 16)
    return algo_refuse(why, "blocks of %zu channels; 4, 8 or 16 are possible", p->block);
  return true;
}

size_t blocked_groups(const clvgg_device_info *dev) {
  return dev->compute_units ? dev->compute_units : 1;
}

double blocked_overlap(const algo_problem *p, double flops, double weight_bytes) {
  const double waiting = LANE_FLOPS_A_BYTE * (double)p->block * weight_bytes;
  return fmax(flops, waiting) + 0.25 * fmin(flops, waiting);
}

clvgg_status blocked_build(const algo_instance *inst, const char *source, const char *name, const char *more,
                           device_kernel *out) {
  char options[256];
  int used = snprintf(options, sizeof options, "-DVEC=%zu%s", inst->problem.block, more);
  const algo_param *params = inst->algo->params;
  for (size_t i = 0; params && params[i].name && used < (int)sizeof options; i++)
    if (!params[i].launched)
      used += snprintf(options + used, sizeof options - (size_t)used, " -D%s=%d", params[i].name, inst->param[i]);
  char with_prefetch[sizeof options + 16];
  snprintf(with_prefetch, sizeof with_prefetch, "%s -DPREFETCH", options);
  /* OpenCL C has no way to ask for the builtin, and trying is dangerous: rusticl's translator to SPIR-V does not refuse it, it
   * ends the process. These compile with clang to the CPU's own code. */
  const char *platform = device_info(inst->dev)->platform;
  const bool has_prefetch = strstr(platform, "Portable Computing Language") || strstr(platform, "Intel(R) OpenCL");
  if (has_prefetch && device_kernel_create(inst->dev, source, name, with_prefetch, out) == CLVGG_OK) return CLVGG_OK;
  return device_kernel_create(inst->dev, source, name, options, out);
}

clvgg_status blocked_open(clvgg_device *dev, size_t bytes, const layer *l, size_t rows, packed_weights *out) {
  *out = (packed_weights){.rows = l->shape.out.c, .panel_rows = rows, .panels = 1};
  out->panel = calloc(1, sizeof *out->panel);
  float *bias = calloc(rows, sizeof *bias);
  clvgg_status status =
      out->panel && bias ? CLVGG_OK : base_fail(CLVGG_ERROR_MEMORY, "no memory for %s's bias", l->name);
  if (!out->panel) out->panels = 0;
  if (!status) status = device_buffer_create(dev, bytes, &out->panel[0]);
  if (!status) status = device_buffer_create(dev, rows * sizeof *bias, &out->bias);
  if (!status) {
    memcpy(bias, l->bias, l->shape.out.c * sizeof *bias);
    status = device_write(dev, &out->bias, 0, bias, rows * sizeof *bias);
  }
  free(bias);
  return status;
}

typedef struct packing {
  const layer *l;
  size_t group_rows;
  blocked_place *place;
  void *context;
  atomic_bool failed;
} packing;

static void pack_group(size_t group, void *context) {
  packing *k = context;
  const size_t first = group * k->group_rows, left = k->l->shape.out.c - first;
  const size_t rows = left < k->group_rows ? left : k->group_rows;
  float *weights = malloc(rows * layer_row_length(&k->l->shape) * sizeof *weights);
  if (!weights) {
    k->failed = true;
    return;
  }
  layer_read_rows(k->l, first, rows, weights);
  k->place(weights, rows, group, k->context);
  free(weights);
}

clvgg_status blocked_pack(const layer *l, size_t group_rows, blocked_place *place, void *context) {
  packing k = {.l = l, .group_rows = group_rows, .place = place, .context = context};
  parallel_for(size_ceil_div(l->shape.out.c, group_rows), pack_group, &k);
  return k.failed ? base_fail(CLVGG_ERROR_MEMORY, "no memory for %s's weights", l->name) : CLVGG_OK;
}

typedef struct conv_places {
  size_t ics, lanes, ic_blocks, step;
  bool reversed;
  float *out; /* (groups, ic_blocks, 3, 3, lanes, step), zeroed */
} conv_places;

static void place_conv(const float *weights, size_t rows, size_t group, void *context) {
  const conv_places *k = context;
  for (size_t r = 0; r < rows; r++)
    for (size_t ic = 0; ic < k->ics; ic++)
      for (size_t tap = 0; tap < 9; tap++) {
        const size_t block = group * k->ic_blocks + ic / k->lanes;
        const size_t lane = k->reversed ? k->ics - 1 - ic : ic % k->lanes;
        k->out[((block * 9 + tap) * k->lanes + lane) * k->step + r] = weights[(r * k->ics + ic) * 9 + tap];
      }
}

clvgg_status blocked_pack_conv(clvgg_device *dev, const layer *l, size_t lanes, size_t step, bool reversed,
                               packed_weights *out) {
  const size_t ics = l->shape.in.c;
  conv_places k = {
      .ics = ics, .lanes = lanes, .ic_blocks = size_ceil_div(ics, lanes), .step = step, .reversed = reversed};
  const size_t groups = size_ceil_div(l->shape.out.c, step), floats = groups * k.ic_blocks * 9 * lanes * step;
  k.out = calloc(floats, sizeof *k.out);
  if (!k.out) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %s's packed weights", l->name);
  clvgg_status status = blocked_pack(l, step, place_conv, &k);
  if (!status) status = blocked_upload(dev, k.out, floats, l, groups * step, out);
  free(k.out);
  return status;
}

clvgg_status blocked_upload(clvgg_device *dev, const float *packed, size_t floats, const layer *l, size_t rows,
                            packed_weights *out) {
  TRY(blocked_open(dev, floats * sizeof *packed, l, rows, out));
  return device_write(dev, &out->panel[0], 0, packed, floats * sizeof *packed);
}
