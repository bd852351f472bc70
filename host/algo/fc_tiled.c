/* Fully connected layers as dot products that work-items share: fc_f32_tiled, fc_f24w_tiled, fc_f16w_tiled, a work-group's sums
 * added up in local memory, for any device; fc_f32_subgroup, fc_f16w_subgroup, a sub-group's sums added up in registers. */
#include <stdio.h>

#include "algo/common.h"
#include "algo/gpu.h"
#include "algo/pack_rows.h"
#include "algo/rules.h"

enum { GROUP, WIDTH, ROWS, IMAGES };

static const algo_param params[] = {
    [GROUP] = {"GROUP", "work-items in a group", {1, 2, 4, 8, 16, 32, 64, 128, 256}},
    [WIDTH] = {"WIDTH", "inputs that a work-item reads at a time", {2, 4, 8, 16}},
    [ROWS] = {"ROWS", "outputs of a group or sub-group", {1, 2, 4, 8}},
    [IMAGES] = {"IMAGES", "images of a group or sub-group", {1, 2, 4, 8}},
    {0},
};

/* Where a sub-group's size is not known. A wrong guess costs time, not the answer. */
static size_t lanes_of(const clvgg_device_info *dev) {
  return dev->lanes ? dev->lanes : 32;
}

/* As declared in fc_tiled.cl. */
static uint64_t local_bytes_tiled(const int *param) {
  return param[GROUP] > 1 ? (uint64_t)(param[ROWS] * param[IMAGES] * param[GROUP]) * sizeof(float) : 0;
}

static uint64_t local_bytes_subgroup(const int *param) {
  (void)param;
  return 0;
}

static void group(const int *param, size_t local[3]) {
  local[0] = (size_t)param[GROUP];
}

static bool group_fits(const clvgg_device_info *dev, const int *param) {
  return (size_t)param[GROUP] <= dev->max_work_group && (size_t)param[GROUP] <= dev->max_work_item[0];
}

/* Sixteen bytes of weights at a time, the widest load of GPUs; on CPUs a vector of sums. */
static int width_of(const clvgg_device_info *dev, algo_form form) {
  if (dev->type == CLVGG_DEVICE_CPU) return (int)algo_block(dev);
  return form == ALGO_F32 ? 4 : 8;
}

/* What sub-groups and groups have in common: fewer rows where the device would be left without enough work-items. */
static void choose_tile(const clvgg_device_info *dev, const algo_problem *p, algo_form form, size_t sharing,
                        int *param) {
  const launch_rule *rule = rules_for(dev);
  const size_t wanted = (size_t)dev->compute_units * (size_t)rule->items_a_unit;
  param[WIDTH] = width_of(dev, form);
  param[IMAGES] = algo_power_of_two(p->batch, (size_t)rule->dot_images);
  param[ROWS] = dev->type == CLVGG_DEVICE_CPU && param[IMAGES] == 8 ? 2 : rule->dot_rows;
  const size_t passes = size_ceil_div(p->batch, (size_t)param[IMAGES]);
  while (param[ROWS] > 1 && p->shape.out.c / (size_t)param[ROWS] * passes * sharing < wanted &&
         dev->type != CLVGG_DEVICE_CPU)
    param[ROWS] /= 2;
}

static void choose_tiled(const clvgg_device_info *dev, const algo_problem *p, algo_form form, int *param) {
  param[GROUP] = rules_for(dev)->dot_group;
  choose_tile(dev, p, form, (size_t)param[GROUP], param);
  while (param[GROUP] > 1 && (!group_fits(dev, param) || local_bytes_tiled(param) > dev->local_bytes))
    param[GROUP] /= 2;
}

/* Several sub-groups a group: some devices can only have so many groups at once. */
static void choose_subgroup(const clvgg_device_info *dev, const algo_problem *p, algo_form form, int *param) {
  param[GROUP] = algo_power_of_two(lanes_of(dev) * 4, 128);
  choose_tile(dev, p, form, lanes_of(dev), param);
  while (param[GROUP] > 1 && !group_fits(dev, param)) param[GROUP] /= 2;
}

static bool supports_tiled(const clvgg_device_info *dev, const algo_problem *p, algo_form form, char *why) {
  return pack_rows_fit(dev, &p->shape, form, why);
}

static bool supports_subgroup(const clvgg_device_info *dev, const algo_problem *p, algo_form form, char *why) {
  if (!dev->subgroups) return algo_refuse(why, "the device has no sub-groups");
  return pack_rows_fit(dev, &p->shape, form, why);
}

/* Iterations of multiply and store, where items work-items share the inputs. */
static uint64_t tile_iterations(const algo_problem *p, const int *param, uint64_t items) {
  const uint64_t width = (uint64_t)param[WIDTH], rows = (uint64_t)param[ROWS], images = (uint64_t)param[IMAGES];
  const uint64_t vectors = size_ceil_div(layer_row_length(&p->shape), width * items);
  const uint64_t tile = rows * (1 + images); /* two nested loops over the tile */
  return rows + images + tile + vectors * (1 + images + tile) + tile + rows * images * width + tile;
}

static uint64_t iterations_tiled(const algo_problem *p, const int *param) {
  const uint64_t rows = (uint64_t)param[ROWS], images = (uint64_t)param[IMAGES], tile = rows * (1 + images);
  return tile_iterations(p, param, (uint64_t)param[GROUP]) + tile + 9 * (1 + rows * images) + tile;
}

/* Sub-groups of one work-item have the longest rows, those of a whole group the most blocks of rows: fewer than one more than a group
 * has work-items. */
static uint64_t iterations_subgroup(const algo_problem *p, const int *param) {
  const uint64_t tile = (uint64_t)param[ROWS] * (1 + (uint64_t)param[IMAGES]);
  return 2 * (tile_iterations(p, param, 1) + tile) +
         (uint64_t)param[GROUP] * (tile_iterations(p, param, UINT32_MAX) + tile);
}

static void work_of(const algo_problem *p, algo_form form, double *flops, double *weight_bytes) {
  *flops = 2.0 * (double)p->batch * (double)layer_row_length(&p->shape) * (double)p->shape.out.c;
  *weight_bytes = (double)pack_rows_bytes(form, layer_row_length(&p->shape)) * (double)p->shape.out.c;
}

/*
 * The weights' way from memory, or the products where batches are large. Of the weights' later passes most are in the second level
 * cache, which is a few times as fast. Products wait for loads half of the time; a smaller form costs conversions.
 */
static double gpu_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form) {
  if (!gpu_has_model(dev)) return INFINITY;
  double flops, bytes;
  work_of(p, form, &flops, &bytes);
  const double passes = (double)size_ceil_div(p->batch, (size_t)param[IMAGES]);
  const double inputs = 4.0 * (double)(p->batch * layer_row_length(&p->shape));
  /* Every block of rows reads all inputs, from a cache. */
  const double blocks = (double)size_ceil_div(p->shape.out.c, (size_t)param[ROWS]);
  const double traffic = bytes * (1 + 0.3 * (passes - 1)) + inputs * (1 + 0.1 * blocks);
  const double memory = GPU_FLOPS_A_BYTE * traffic / 0.8, products = flops / (form == ALGO_F32   ? 0.4
                                                                              : form == ALGO_F16 ? 0.35
                                                                                                 : 0.3);
  return GPU_FLOPS_A_LAUNCH + fmax(memory, products);
}

static double cost_tiled(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form) {
  return gpu_cost(dev, p, param, form);
}

/* What saves the reduction is little, and compilers know sub-groups less well: to be preferred only where it was measured. */
static double cost_subgroup(const clvgg_device_info *dev, const algo_problem *p, const int *param, algo_form form) {
  return 1.05 * gpu_cost(dev, p, param, form);
}

/* The registry's functions of a way to add up and a form of weights. */
#define FUNCTIONS(name, way, form)                                                                                \
  static void choose_##name(const clvgg_device_info *dev, const algo_problem *p, int *param) {                    \
    choose_##way(dev, p, form, param);                                                                            \
  }                                                                                                               \
  static bool supports_##name(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) { \
    (void)param;                                                                                                  \
    return supports_##way(dev, p, form, why);                                                                     \
  }                                                                                                               \
  static double cost_##name(const clvgg_device_info *dev, const algo_problem *p, const int *param) {              \
    return cost_##way(dev, p, param, form);                                                                       \
  }                                                                                                               \
  static void work_##name(const algo_problem *p, const int *param, double *flops, double *weight_bytes) {         \
    (void)param;                                                                                                  \
    work_of(p, form, flops, weight_bytes);                                                                        \
  }
FUNCTIONS(tiled_float, tiled, ALGO_F32)
FUNCTIONS(tiled_int24, tiled, ALGO_F24)
FUNCTIONS(tiled_half, tiled, ALGO_F16)
FUNCTIONS(subgroup_float, subgroup, ALGO_F32)
FUNCTIONS(subgroup_half, subgroup, ALGO_F16)

static bool uses_subgroups(const algo_instance *inst) {
  return inst->algo->local_bytes == local_bytes_subgroup;
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  static const char *const forms[] = {[ALGO_F32] = "", [ALGO_F24] = " -DINT24", [ALGO_F16] = " -DHALF"};
  TRY(algo_state_open(inst));
  const bool whole = layer_row_length(&inst->problem.shape) % (size_t)inst->param[WIDTH] == 0;
  char more[120];
  snprintf(more, sizeof more, " -DKERNEL_NAME=%s%s%s%s", inst->algo->name, forms[inst->algo->form],
           uses_subgroups(inst) ? " -DSUBGROUP" : "", whole ? " -DWHOLE" : "");
  TRY(algo_build_group_with(inst, "fc_tiled.cl", 1, more));
  return pack_rows_upload(inst->dev, l, inst->algo->form, &algo_state_of(inst)->weights);
}

static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                            const device_buffer *workspace) {
  if (batch == 0) return CLVGG_OK;
  TRY(algo_check(inst, batch, in, out, workspace));
  const packed_weights *w = &algo_state_of(inst)->weights;
  const size_t local[3] = {(size_t)inst->param[GROUP], 1, 1};
  const size_t sharing = uses_subgroups(inst) ? lanes_of(device_info(inst->dev)) : local[0];
  const size_t blocks = local[0] > sharing ? local[0] / sharing : 1; /* of rows, of a group */
  for (size_t i = 0; i < w->panels; i++) {
    const size_t global[3] = {
        size_ceil_div(batch, (size_t)inst->param[IMAGES]) * local[0],
        size_ceil_div(size_ceil_div(pack_row_count(w, i), (size_t)inst->param[ROWS]), blocks),
        1,
    };
    TRY(algo_launch_fc(inst, batch, i, in, out, global, local));
  }
  return CLVGG_OK;
}

#define ROW(text, stored_as, error, way, form_name)                                                                  \
  {                                                                                                                  \
    .name = (text), .op = LAYER_FC, .in = ALGO_NCHW, .out = ALGO_NCHW, .form = (stored_as), .weight_error = (error), \
    .params = params, .group = group, .local_bytes = local_bytes_##way, .choose = choose_##way##_##form_name,        \
    .supports = supports_##way##_##form_name, .iterations = iterations_##way, .cost = cost_##way##_##form_name,      \
    .work = work_##way##_##form_name, .prepare = prepare, .enqueue = enqueue, .release = algo_state_release          \
  }

const algo algo_fc_tiled = ROW("fc_f32_tiled", ALGO_F32, 0, tiled, float);
const algo algo_fc_tiled_int24 = ROW("fc_f24w_tiled", ALGO_F24, 0x1p-24, tiled, int24);
const algo algo_fc_tiled_half = ROW("fc_f16w_tiled", ALGO_F16, 0x1p-11, tiled, half);
const algo algo_fc_subgroup = ROW("fc_f32_subgroup", ALGO_F32, 0, subgroup, float);
const algo algo_fc_subgroup_half = ROW("fc_f16w_subgroup", ALGO_F16, 0x1p-11, subgroup, half);
