/* What is worth measuring: for every problem of a network the algorithms and parameters that may be its fastest. */
#ifndef CLVGG_TUNE_CANDIDATES_H
#define CLVGG_TUNE_CANDIDATES_H

#include "plan/plan.h"

#define CANDIDATE_WHY_BYTES 200

typedef enum candidate_state {
  CANDIDATE_NEW, /* to be timed in the network, for the first time or again */
  CANDIDATE_TIMED,
  CANDIDATE_FAILED, /* it did not run, or was wrong */
  CANDIDATE_PASSED  /* not timed: it could not win, or there was no time for it */
} candidate_state;

/* How a candidate failed. Never tried again on the same device and driver, whichever it was. */
typedef enum candidate_fault {
  FAULT_NONE,
  FAULT_BUILD, /* the device's compiler refused it */
  FAULT_CRASH, /* the process that ran it ended */
  FAULT_HANG,  /* it did not end in time */
  FAULT_ERROR, /* the driver reported an error */
  FAULT_NAN,   /* values that are not finite */
  FAULT_WRONG, /* values that differ from the reference, or writes outside its buffers */
  FAULTS
} candidate_fault;
/* "build", "crash", ...; "" for none. */
const char *candidate_fault_name(candidate_fault fault);

typedef struct candidate {
  const algo *algo;
  algo_problem problem;
  int param[ALGO_MAX_PARAMS];
  bool chosen;     /* by the algorithm's own rules, not a neighbour */
  double cost;     /* by its model; INFINITY without one */
  bool checked;    /* it was right by itself */
  double alone_ms; /* its least time by itself; 0: not known */
  size_t rank;     /* its place in the order in which the problem's candidates are to be tried, from 1 on */
  candidate_state state;
  candidate_fault fault;
  char why[CANDIDATE_WHY_BYTES]; /* it failed */
} candidate;

typedef struct candidates {
  size_t count, capacity;
  candidate *list; /* those of a problem are not always together */
  size_t most;     /* the largest number of one problem */
} candidates;

/*
 * For each problem that a plan can have, equal ones once: every supported algorithm with the parameters that its rules pick, and
 * then, cheapest first, a few other parameter sets whose cost by the model is near the best of all. An algorithm without a
 * model is known to be slower than any with one, and left out where there is one of those, unless the problem is tiny: there the
 * cost of a launch, which no model knows, decides. exhaustive: all legal parameters
 * of the algorithms that have a model, or of all where none has.
 */
clvgg_status candidates_make(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                             const plan_options *wishes, bool exhaustive, candidates *out);
/* Adds what differs from list[index] in one parameter by one step of its legal values, or in any way if they have no order. Pointers
 * into list become invalid. */
clvgg_status candidates_add_around(candidates *c, const clvgg_device_info *dev, size_t index);
/* NULL when it is none. */
candidate *candidates_find(const candidates *c, const algo *a, const algo_problem *p, const int *param);
/* The candidate, added as its problem's last when it is none yet, but supported and allowed; NULL when it is not. */
candidate *candidates_take(candidates *c, const clvgg_device_info *dev, const plan_options *wishes, const algo *a,
                           const algo_problem *p, const int *param);
void candidates_free(candidates *c);

#endif
