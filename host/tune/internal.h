/* What chain.c, settle.c and compare.c share: a search in the network. */
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

/* The plan by the times that are known. explore: what is not known counts as fast, else as slow: the models' own plan has to be
 * among what is known, so that there is always a way. */
clvgg_status chain_make_plan(const chain *c, const plan_costs *known, bool explore, plan *out);

/* Times the steps of the engine's plan, runs times after once that does not count, or less often where it is slow. The least sum
 * of a run's steps goes to least_ms. */
clvgg_status chain_profile(chain *c, int runs, plan_costs *costs, double *least_ms);

/* Makes the engine run the best of the plan found and the one without tuning, step by step. */
clvgg_status chain_settle(chain *c, const plan *found);

/* Turns of two plans: each is first as often as the other. In turn t, place i (0, 1) has this plan. */
static inline size_t chain_turn(size_t t, size_t i) {
  return (t + i) % 2;
}

/* Makes the engine run a copy of p. */
clvgg_status chain_use(chain *c, const plan *p);

/* What a candidate may do wrong; everything else ends the search. */
static inline bool chain_is_fault(clvgg_status status) {
  return status == CLVGG_ERROR_DEVICE || status == CLVGG_ERROR_BUILD || status == CLVGG_ERROR_TOO_LARGE ||
         status == CLVGG_ERROR_UNSUPPORTED;
}

#endif
