/*
 * Chooses the steps that compute a network: for every layer an algorithm and its parameters, where layers are computed together
 * (a convolution and the pooling after it), and where the memory layout changes in between.
 */
#ifndef CLVGG_PLAN_PLAN_H
#define CLVGG_PLAN_PLAN_H

#include "plan/costs.h"

typedef struct plan_step {
  const algo *algo;
  int param[ALGO_MAX_PARAMS];
  algo_problem problem;
  size_t layer, layers; /* the first layer and how many it computes; 0: a change of layout in front of that layer */
  char name[52];        /* "conv1_2+pool1", "to NCHW16c" */
  char source[64];      /* why this one: "measured", "model", "rule: GPU", "asked for" */
  double cost;          /* measured or by algo's model, in operations at the device's peak; only ratios mean anything */
} plan_step;

typedef struct plan {
  size_t count;
  plan_step *steps;
  size_t batch;
  /* Memory: step i reads activation buffer i % 2 and writes the other; one workspace is shared by all steps. */
  size_t activation_bytes[2], workspace_bytes;
} plan;

/* What the plan must keep to. Zeroed, it keeps to nothing. */
typedef struct plan_options {
  const char *wanted;   /* NULL, or a comma list of algorithm names to use wherever they are supported */
  const bool *excluded; /* NULL, or for each algorithm of the registry whether it must not be used */
  algo_form form;       /* the least exact form of stored weights that may be used */
  bool rgb8;            /* the network is given pixels, in ALGO_RGB8 instead of ALGO_NCHW */
  clvgg_memory memory;  /* of weights */
  /* NULL, or times: where there are some of an algorithm and a problem, these and their parameters are all that is considered
   * of it, and no model. */
  const plan_costs *measured;
} plan_options;

/* An unknown name in wanted is CLVGG_ERROR_ARGUMENT. A layer that no algorithm supports is CLVGG_ERROR_UNSUPPORTED with each
 * one's reason. Input and output are in ALGO_NCHW, but for pixels. */
clvgg_status plan_make(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                       const plan_options *options, plan *out);
void plan_free(plan *p);
/* out is plan_free's. */
clvgg_status plan_copy(const plan *p, plan *out);

/* Whether a step of one plan is a step of another of the same layers, parameters and weights included. */
bool plan_same_step(const plan_step *a, const plan_step *b);
/* Whether all their steps are. */
bool plan_same(const plan *a, const plan *b);
/* Whether registry row k may be used. Who asks for a form of weights by name has allowed it. */
bool plan_allows(const plan_options *options, size_t k);
/* The shape of layer i computed together with the pooling after it; false when it is no convolution or none follows. */
bool plan_pooled_shape(const layer *layers, size_t count, size_t i, layer_shape *out);

#endif
