/* What is worth measuring: for every problem of a network the algorithms and parameters that may be its fastest. */
#ifndef CLVGG_TUNE_CANDIDATES_H
#define CLVGG_TUNE_CANDIDATES_H

#include "plan/plan.h"

typedef enum candidate_state {
  CANDIDATE_NEW, /* to be timed, for the first time or again */
  CANDIDATE_TIMED,
  CANDIDATE_FAILED, /* it did not run */
  CANDIDATE_PASSED  /* not timed: it could not win, or there was no time for it */
} candidate_state;

typedef struct candidate {
  const algo *algo;
  algo_problem problem;
  int param[ALGO_MAX_PARAMS];
  bool chosen; /* by the algorithm's own rules, not a neighbour */
  double cost; /* by its model; INFINITY without one */
  size_t rank; /* its place in the order in which the problem's candidates are to be tried, from 1 on */
  candidate_state state;
} candidate;

typedef struct candidates {
  size_t count, capacity;
  candidate *list;
  size_t most; /* the largest number of one problem */
} candidates;

/*
 * For each problem that a plan can have, equal ones once: every supported algorithm with the parameters that its rules pick, and
 * then, cheapest first, a few other parameter sets whose cost by the model is near the best of all. An algorithm without a
 * model is known to be slower than any with one, and left out where there is one of those, unless the problem is tiny: there the
 * cost of a launch, which no model knows, decides.
 */
clvgg_status candidates_make(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                             const plan_options *wishes, candidates *out);
/* NULL when it is none. */
candidate *candidates_find(const candidates *c, const algo *a, const algo_problem *p, const int *param);
void candidates_free(candidates *c);

#endif
