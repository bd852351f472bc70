/* What chain.c and compare.c share: a search in the network. */
#ifndef CLVGG_TUNE_INTERNAL_H
#define CLVGG_TUNE_INTERNAL_H

#include "tune/chain.h"

struct chain {
  clvgg_device *dev;
  engine *engine;
  clvgg_engine_options options;
  const search_options *search;
  plan_options wishes;
  pixel_map pixels; /* of the first layer, if its input is pixels */
  layer *layers;    /* (count) */
  size_t count;
  double start_ms; /* on device_host_ms's clock */
  clvgg_roofline roofline;
  plan_costs measured;
  candidates candidates;
  plan untuned;           /* by the models */
  float *images, *logits; /* (max_batch, C, H, W), of which pixels are the first bytes; (max_batch, classes) */
};

/* What a candidate may do wrong; everything else ends the search. */
static inline bool chain_is_fault(clvgg_status status) {
  return status == CLVGG_ERROR_DEVICE || status == CLVGG_ERROR_BUILD || status == CLVGG_ERROR_TOO_LARGE ||
         status == CLVGG_ERROR_UNSUPPORTED;
}

#endif
