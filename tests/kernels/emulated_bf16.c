/* The algorithms that multiply bf16 with their instructions emulated, and AMX without a question. */
#include "kernels/emulated_bf16.h"

#include <string.h>

#include "algo/common.h"
#include "algo/conv_bf16.h"
#include "algo/conv_winograd.h"

static clvgg_device_info as_new_cpu(const clvgg_device_info *dev) {
  clvgg_device_info able = *dev;
  able.amx_bf16 = able.avx512_bf16 = 1;
  /* An interpreter, which calls itself a device of every type and sees what others do not. */
  if (strstr(dev->platform, "Oclgrind")) able.type = CLVGG_DEVICE_CPU;
  return able;
}

#define SUPPORTS(name, row)                                                                                       \
  static bool supports_##name(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) { \
    const clvgg_device_info able = as_new_cpu(dev);                                                               \
    return (row).supports(&able, p, param, why);                                                                  \
  }
SUPPORTS(amx, algo_conv_bf16_amx)
SUPPORTS(avx512, algo_conv_bf16_avx512)
SUPPORTS(winograd, algo_conv_bf16_winograd)
SUPPORTS(winograd_fused, algo_conv_bf16_winograd_fused)

/* And the loops of each instruction on tiles: four to be zeroed and kept, four to be fetched, up to four products. */
static uint64_t amx_iterations(const algo_problem *p, const int *param) {
  const layer_shape *s = &p->shape;
  const uint64_t px = (uint64_t)param[0], oc = (uint64_t)param[1], strip = (uint64_t)param[2];
  const uint64_t chunks = size_ceil_div(s->in.c, 32), oc_groups = size_ceil_div(s->out.c, (size_t)oc * 16);
  const uint64_t rows = p->batch * (s->in.h + 2) + strip;
  const uint64_t blocks = rows * (s->in.w + 1) / (px * 16) + rows / strip + 1;
  return algo_conv_bf16_amx.iterations(p, param) + oc_groups * blocks * 16 * (8 + chunks * 9 * (4 + px * oc * 17));
}

#define EMULATED " -DEMULATE_BF16"

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  return conv_bf16_prepare(inst, l, EMULATED);
}

static clvgg_status prepare_winograd(algo_instance *inst, const layer *l) {
  return conv_winograd_prepare_staged(inst, l, EMULATED);
}

static clvgg_status prepare_winograd_fused(algo_instance *inst, const layer *l) {
  return conv_winograd_prepare_fused(inst, l, EMULATED);
}

const algo *emulated_bf16(const clvgg_device_info *dev, const algo *registered) {
  static algo rows[4];
  const algo *const found[] = {&algo_conv_bf16_amx, &algo_conv_bf16_avx512, &algo_conv_bf16_winograd,
                               &algo_conv_bf16_winograd_fused};
  for (size_t i = 0; i < COUNT_OF(rows); i++) rows[i] = *found[i];
  rows[0].supports = supports_amx;
  rows[0].iterations = amx_iterations;
  rows[0].prepare = prepare;
  rows[1].supports = supports_avx512;
  rows[1].prepare = prepare;
  rows[2].supports = supports_winograd;
  rows[2].prepare = prepare_winograd;
  rows[3].supports = supports_winograd_fused;
  rows[3].prepare = prepare_winograd_fused;
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    if (registered == found[i] && !(i ? dev->avx512_bf16 : dev->amx_bf16)) return &rows[i];
  return registered;
}

const algo *unchecked_amx(void) {
  static algo row;
  row = algo_conv_bf16_amx;
  row.supports = supports_amx;
  return &row;
}
