/* conv_bf16_nchwc_amx and conv_bf16_nchwc_avx512 with their instructions emulated, and AMX without a question. */
#include "kernels/emulated_bf16.h"

#include <string.h>

#include "algo/common.h"
#include "algo/conv_bf16.h"

static clvgg_device_info as_new_cpu(const clvgg_device_info *dev) {
  clvgg_device_info able = *dev;
  able.amx_bf16 = able.avx512_bf16 = 1;
  /* An interpreter, which calls itself a device of every type and sees what others do not. */
  if (strstr(dev->platform, "Oclgrind")) able.type = CLVGG_DEVICE_CPU;
  return able;
}

static bool supports_amx(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  const clvgg_device_info able = as_new_cpu(dev);
  return algo_conv_bf16_amx.supports(&able, p, param, why);
}

static bool supports_avx512(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  const clvgg_device_info able = as_new_cpu(dev);
  return algo_conv_bf16_avx512.supports(&able, p, param, why);
}

/* And the loops of each instruction on tiles: four to be zeroed and kept, four to be fetched, up to four products. */
static uint64_t amx_iterations(const algo_problem *p, const int *param) {
  const layer_shape *s = &p->shape;
  const uint64_t px = (uint64_t)param[0], oc = (uint64_t)param[1], strip = (uint64_t)param[2];
  const uint64_t chunks = size_ceil_div(s->in.c, 32), oc_groups = size_ceil_div(s->out.c, (size_t)oc * 16);
  const uint64_t rows = p->batch * (s->in.h + 2) + strip;
  const uint64_t blocks = rows * (s->in.w + 1) / (px * 16) + rows / strip + 1;
  return algo_conv_bf16_amx.iterations(p, param) + oc_groups * blocks * 16 * (8 + chunks * 9 * (4 + px * oc * 17));
}

static clvgg_status prepare(algo_instance *inst, const layer *l) {
  return conv_bf16_prepare(inst, l, " -DEMULATE_BF16");
}

const algo *emulated_bf16(const clvgg_device_info *dev, const algo *registered) {
  static algo amx, avx512;
  if (strcmp(registered->name, algo_conv_bf16_amx.name) == 0 && !dev->amx_bf16) {
    amx = algo_conv_bf16_amx;
    amx.supports = supports_amx;
    amx.iterations = amx_iterations;
    amx.prepare = prepare;
    return &amx;
  }
  if (strcmp(registered->name, algo_conv_bf16_avx512.name) == 0 && !dev->avx512_bf16) {
    avx512 = algo_conv_bf16_avx512;
    avx512.supports = supports_avx512;
    avx512.prepare = prepare;
    return &avx512;
  }
  return registered;
}

const algo *unchecked_amx(void) {
  static algo row;
  row = algo_conv_bf16_amx;
  row.supports = supports_amx;
  return &row;
}
