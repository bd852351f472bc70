/*
 * Measured times of algorithms, which plan_make takes for true where it would else ask their models.
 *
 * The key is the algorithm, the problem (op, ReLU, pooling, both shapes, batch, block) and the algorithm's parameters, nothing
 * else: not the layer, since equal layers take equal times, and not the device, since a table belongs to one.
 */
#ifndef CLVGG_PLAN_COSTS_H
#define CLVGG_PLAN_COSTS_H

#include "algo/algo.h"

typedef struct plan_cost {
  const algo *algo;
  algo_problem problem;
  int param[ALGO_MAX_PARAMS]; /* beyond the algorithm's parameters: zeros */
  double seconds;
  const char *source; /* static: "measured", "preset" */
} plan_cost;

/* Zeroed, it is empty. */
typedef struct plan_costs {
  /* What a second is worth in the unit of the models: the device's peak, as roofline_measure finds it. Positive. */
  double flops_per_s;
  size_t count, capacity;
  plan_cost *entries;
} plan_costs;

bool costs_same_problem(const algo_problem *a, const algo_problem *b);

/* Adds a time; of several with one key the least counts, as whatever disturbs a measurement makes it longer. Seconds must be
 * finite and not negative. */
clvgg_status costs_add(plan_costs *costs, const algo *a, const algo_problem *p, const int *param, double seconds);
/* The same of another source than "measured", whose text must outlive the costs. */
clvgg_status costs_add_from(plan_costs *costs, const algo *a, const algo_problem *p, const int *param, double seconds,
                            const char *source);
/* NULL when there is none. */
const plan_cost *costs_find(const plan_costs *costs, const algo *a, const algo_problem *p, const int *param);
/* The entries of an algorithm and problem, one a parameter set: the first after `after`, or of all when that is NULL; NULL at
 * the end. */
const plan_cost *costs_next(const plan_costs *costs, const algo *a, const algo_problem *p, const plan_cost *after);
/* False when there is none. Entries found before are no longer valid. */
bool costs_remove(plan_costs *costs, const algo *a, const algo_problem *p, const int *param);
void costs_free(plan_costs *costs);

#endif
