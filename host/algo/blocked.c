/* What the algorithms on blocked activations share: where they run, builds, uploads. */
#include "algo/blocked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool blocked_supported(const clvgg_device_info *dev, const algo_problem *p, char *why) {
  if (dev->type != CLVGG_DEVICE_CPU) return algo_refuse(why, "made for CPUs: its work-groups are single work-items");
  if (p->block != 4 && p->block != 8 && p->block != 16)
    return algo_refuse(why, "blocks of %zu channels; 4, 8 or 16 are possible", p->block);
  return true;
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

clvgg_status blocked_upload(clvgg_device *dev, const float *packed, size_t floats, const layer *l, size_t rows,
                            packed_weights *out) {
  TRY(blocked_open(dev, floats * sizeof *packed, l, rows, out));
  return device_write(dev, &out->panel[0], 0, packed, floats * sizeof *packed);
}
