/* The table of algorithms, and the checks that hold for all of them. */
#include <stdio.h>
#include <string.h>

#include "algo/common.h"

/* The only place to edit when an algorithm is added. A search goes from top to bottom. */
static const algo *const registry[] = {
    /* 3x3 convolution */
    &algo_conv_winograd_fused,
    &algo_conv_winograd,
    &algo_conv_winograd_on_the_fly,
    &algo_conv_bf16_winograd_fused,
    &algo_conv_bf16_winograd,
    &algo_conv_bf16_amx,
    &algo_conv_bf16_avx512,
    &algo_conv_im2col_nchwc,
    &algo_conv_direct_nchwc,
    &algo_conv_direct_image,
    &algo_conv_direct_pixels,
    &algo_conv_winograd_gpu_fused,
    &algo_conv_winograd_gpu,
    &algo_conv_direct,
    &algo_conv_mma,
    &algo_conv_dpas,
    &algo_conv_implicit_gemm_half_math,
    &algo_conv_implicit_gemm_half,
    &algo_conv_implicit_gemm,
    &algo_conv_implicit_gemm_subgroup,
    &algo_conv_tiled,
    &algo_conv_im2col,
    &algo_conv_naive,
    /* pooling */
    &algo_maxpool_nchwc,
    &algo_avgpool_nchwc,
    &algo_maxpool_naive,
    &algo_avgpool_naive,
    /* fully connected */
    &algo_fc_gemv_half_nchwc,
    &algo_fc_gemv_half,
    &algo_fc_gemv_int24_nchwc,
    &algo_fc_gemv_int24,
    &algo_fc_gemv_nchwc,
    &algo_fc_gemv,
    &algo_fc_tiled_half,
    &algo_fc_subgroup_half,
    &algo_fc_tiled_int24,
    &algo_fc_tiled,
    &algo_fc_subgroup,
    &algo_fc_clblast,
    &algo_fc_naive,
    /* the rest */
    &algo_softmax_naive,
    &algo_convert_image,
    &algo_convert_to_blocked,
    &algo_convert_to_plain,
};

size_t algo_count(void) {
  return COUNT_OF(registry);
}

const algo *algo_get(size_t i) {
  return i < COUNT_OF(registry) ? registry[i] : NULL;
}

const algo *algo_find(const char *name) {
  for (size_t i = 0; i < COUNT_OF(registry); i++)
    if (strcmp(registry[i]->name, name) == 0) return registry[i];
  return NULL;
}

size_t algo_index(const algo *a) {
  size_t i = 0;
  while (i < COUNT_OF(registry) && registry[i] != a) i++;
  return i;
}

static bool is_legal(const algo_param *param, int value) {
  for (size_t i = 0; i < COUNT_OF(param->legal) && param->legal[i]; i++)
    if (param->legal[i] == value) return true;
  return false;
}

/* Kernels index with 32-bit integers. */
static bool fits_int32(const algo_problem *p, shape3 shape) {
  const size_t factors[] = {p->batch, shape.c, shape.h, shape.w};
  size_t elements;
  /* The margin is for rounding up: tiles reach beyond the last row, channel and image. */
  return size_product(factors, 4, &elements) && elements > 0 && elements <= INT32_MAX - 65536;
}

/* Output shapes follow from the input's, except where a layer is free to choose. */
static bool is_consistent(const layer_shape *s) {
  switch (s->op) {
    case LAYER_CONV:
      return s->out.h == s->in.h / (s->pool ? 2 : 1) && s->out.w == s->in.w / (s->pool ? 2 : 1);
    case LAYER_MAXPOOL:
      return s->out.c == s->in.c && s->out.h == s->in.h / 2 && s->out.w == s->in.w / 2;
    case LAYER_AVGPOOL:
      return s->out.c == s->in.c;
    case LAYER_FC:
      return s->out.h == 1 && s->out.w == 1;
    case LAYER_SOFTMAX:
      return s->in.h == 1 && s->in.w == 1 && s->out.c == s->in.c && s->out.h == 1 && s->out.w == 1;
    case LAYER_CONVERT:
      return s->out.c == s->in.c && s->out.h == s->in.h && s->out.w == s->in.w;
  }
  return false;
}

/* Vector registers of CPUs, by the floats that fit into one: AVX-512 has 32, and SSE, AVX and AVX2 have 16 in 64-bit mode (Intel 64 and
 * IA-32 Architectures Software Developer's Manual, volume 1). NEON's 32 are not counted on. */
static size_t vector_registers(size_t block) {
  return block >= 16 ? 32 : 16;
}

/* Whether the device has what the parameters need. */
static bool fits_device(const algo *a, const clvgg_device_info *dev, const algo_problem *p, const int *param,
                        char *why) {
  size_t local[3] = {1, 1, 1};
  if (a->group) a->group(param, local);
  if (local[0] * local[1] * local[2] > dev->max_work_group || local[0] > dev->max_work_item[0] ||
      local[1] > dev->max_work_item[1] || local[2] > dev->max_work_item[2])
    return algo_refuse(why, "a work-group of %zu x %zu x %zu exceeds the device's limit of %zu (%zu x %zu x %zu)",
                       local[0], local[1], local[2], dev->max_work_group, dev->max_work_item[0], dev->max_work_item[1],
                       dev->max_work_item[2]);
  const uint64_t bytes = a->local_bytes ? a->local_bytes(param) : 0;
  if (bytes > dev->local_bytes)
    return algo_refuse(why, "it needs %llu bytes of local memory, the device has %llu", (unsigned long long)bytes,
                       (unsigned long long)dev->local_bytes);
  const size_t vectors = a->registers && dev->type == CLVGG_DEVICE_CPU ? a->registers(param) : 0;
  if (vectors > vector_registers(p->block))
    return algo_refuse(why, "it holds %zu vectors of %zu floats at once, the processor has %zu registers", vectors,
                       p->block, vector_registers(p->block));
  return true;
}

bool algo_supports(const algo *a, const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  char text[128];
  if (a->op != p->shape.op)
    return algo_refuse(why, "it computes %s layers, not %s", layer_op_name(a->op), layer_op_name(p->shape.op));
  if (!is_consistent(&p->shape))
    return algo_refuse(why, "the shapes of %s do not agree", layer_shape_text(&p->shape, text, sizeof text));
  if (a->in == ALGO_RGB8 && p->shape.in.c != 3)
    return algo_refuse(why, "%zu input channels, but pixels have 3", p->shape.in.c);
  if (p->shape.pool && !a->pools) return algo_refuse(why, "it leaves the pooling to a layer of its own");
  if (!fits_int32(p, p->shape.in) || !fits_int32(p, p->shape.out))
    return algo_refuse(why, "%zu images of %s need more than 32-bit indices (or are empty)", p->batch,
                       layer_shape_text(&p->shape, text, sizeof text));
  for (size_t i = 0; a->params && a->params[i].name; i++)
    if (!is_legal(&a->params[i], param[i])) return algo_refuse(why, "%s cannot be %d", a->params[i].name, param[i]);
  if (!fits_device(a, dev, p, param, why) || !a->supports(dev, p, param, why)) return false;
  const uint64_t iterations = a->iterations(p, param);
  if (dev->max_iterations && iterations > dev->max_iterations)
    return algo_refuse(why, "a work-item would run %llu loop iterations, and this driver stops silently after %llu",
                       (unsigned long long)iterations, (unsigned long long)dev->max_iterations);
  const size_t workspace = algo_workspace_bytes(a, dev, p, param);
  if (workspace > dev->max_alloc_bytes)
    return algo_refuse(why, "its workspace of %zu bytes exceeds the largest buffer of %llu bytes", workspace,
                       (unsigned long long)dev->max_alloc_bytes);
  return true;
}

double algo_cost(const algo *a, const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return a->cost && !dev->software_rasteriser ? a->cost(dev, p, param) : INFINITY;
}

size_t algo_workspace_bytes(const algo *a, const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return a->workspace_bytes ? a->workspace_bytes(dev, p, param) : 0;
}

char *algo_params_text(const algo *a, const int *param, char *out, size_t bytes) {
  if (bytes > 0) out[0] = '\0';
  size_t used = 0;
  for (size_t i = 0; a->params && a->params[i].name && used < bytes; i++)
    used += (size_t)snprintf(out + used, bytes - used, "%s%s=%d", i ? " " : "", a->params[i].name, param[i]);
  return out;
}

clvgg_status algo_open(const algo *a, clvgg_device *dev, const algo_problem *p, const int *param, const layer *l,
                       algo_instance *out) {
  *out = (algo_instance){.algo = a, .dev = dev, .problem = *p};
  if (l->pixels) out->pixels = *l->pixels;
  if (param) memcpy(out->param, param, sizeof out->param);
  char why[ALGO_WHY_BYTES] = "";
  clvgg_status status;
  if (!algo_supports(a, device_info(dev), p, out->param, why))
    status = base_fail(CLVGG_ERROR_UNSUPPORTED, "%s: %s cannot compute it: %s", l->name, a->name, why);
  else if (a->in == ALGO_RGB8 && !l->pixels)
    status = base_fail(CLVGG_ERROR_ARGUMENT, "%s: %s does not know how to normalise pixels", l->name, a->name);
  else
    status = a->prepare(out, l);
  if (status != CLVGG_OK) algo_close(out);
  return status;
}

void algo_close(algo_instance *inst) {
  if (inst->algo) inst->algo->release(inst);
  *inst = (algo_instance){0};
}
