/* What the files of this folder share: plans in several precisions, and the engine that runs them. */
#ifndef CLVGG_GATE_INTERNAL_H
#define CLVGG_GATE_INTERNAL_H

#include "gate/gate.h"
#include "gate/memory.h"
#include "gate/samples.h"
#include "trust/trust.h"

/* f32 and up to four others. */
#define GATE_MOST 5

/* A precision, its plan, and what is known of it. */
typedef struct gate_candidate {
  clvgg_precision precision;
  plan plan;
  bool stored; /* the plan is the tuning database's */
  char what[MEMORY_CASE_BYTES];
  clvgg_accuracy accuracy;
  double *step_ms; /* (plan.count), of up to max_batch images; NULL: not timed */
  double ms;       /* all steps */
} gate_candidate;

typedef struct gate {
  clvgg_device *dev;
  const network *net;
  clvgg_engine_options options; /* precision: as it was asked for */
  const clvgg_preprocess *preprocess;
  bool stored; /* plans may be the tuning database's */
  pixel_map pixels;
  layer *layers; /* (count) */
  size_t count;
  gate_candidate exact,
      others[GATE_MOST - 1]; /* exact: f32; its plan may be empty. others: (other_count), less exact */
  size_t other_count;
  trust_wish wish;
  verdicts *verdicts; /* NULL: nothing is remembered */
  samples samples;
  char choice[MEMORY_CASE_BYTES]; /* AUTO's case */
  engine *engine;
} gate;

/* What a plan may do wrong: another one may do. Everything else is a failure of the host. */
static inline bool gate_is_fault(clvgg_status status) {
  return status == CLVGG_ERROR_DEVICE || status == CLVGG_ERROR_BUILD || status == CLVGG_ERROR_TOO_LARGE ||
         status == CLVGG_ERROR_UNSUPPORTED;
}

/* The least exact form in it. */
clvgg_precision gate_plan_precision(const plan *p);
/* f32's plan, if it is not there yet. */
clvgg_status gate_make_exact(gate *g);
/* The other plan, or with AUTO f32's and all those that differ. */
clvgg_status gate_make_others(gate *g);

/* Makes the engine run the plan, opening it where there is none yet. */
clvgg_status gate_run_plan(gate *g, const plan *p);

/* Runs exact and all others on the sample images: their accuracy and, with AUTO, times. Remembers verdicts. The engine is left with any
 * of the plans. False in *compared, and no engine, where the device cannot run f32. */
clvgg_status gate_compare(gate *g, bool *compared);

#endif
