/* Chooses an algorithm and its parameters for every layer, from the device's capabilities. */
#ifndef CLVGG_PLAN_PLAN_H
#define CLVGG_PLAN_PLAN_H

#include "algo/algo.h"

typedef struct plan_step {
  const algo *algo;
  int param[ALGO_MAX_PARAMS];
  char source[128]; /* why this one: "rule: CPU", "asked for", ... */
} plan_step;

typedef struct plan {
  size_t count; /* one step a layer */
  plan_step *steps;
  size_t batch;
  /* Memory: layer i reads activation buffer i % 2 and writes the other; one workspace is shared by all layers. */
  size_t activation_bytes[2], workspace_bytes;
} plan;

/* wanted: NULL, or a comma list of algorithm names to use wherever they are supported; an unknown name is
 * CLVGG_ERROR_ARGUMENT. A layer that no algorithm supports is CLVGG_ERROR_UNSUPPORTED with each one's reason. */
clvgg_status plan_make(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                       const char *wanted, plan *out);
void plan_free(plan *p);

#endif
