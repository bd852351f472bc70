/* The plan found beside the one without tuning: both run in turns, by one engine, so that there is memory for one only. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference/reference.h"
#include "tune/internal.h"

/* Turns, and timed runs of a plan in a turn. Slow devices have fewer turns. */
#define TURNS      8
#define TURN_RUNS  5
#define COMPARE_MS 6000.0
/* Another plan is worth it when it is faster by more than chance: with equal plans the median of the turns' ratios is some
 * thousandths away from 1, more on a busy machine; so its least time must be the lesser one, too. */
#define WORTH_RATIO 0.99
/* How much of the largest logit a plan's logits may be away from another's: f32 rounding of some twenty layers, or that of weights. */
#define LOGITS_TOLERANCE      1e-4
#define LOGITS_TOLERANCE_HALF 1e-2
#define LOGITS_TOLERANCE_BF16 8e-2 /* three bits fewer */

/* Runs p as an application does, without clocks between the steps; the least time. */
static clvgg_status run_plan(chain *c, const plan *p, double *ms) {
  TRY(chain_use(c, p));
  *ms = INFINITY;
  for (int run = 0; run <= TURN_RUNS; run++) {
    const double start = device_host_ms();
    TRY(engine_run(c->engine, c->images, c->options.max_batch, c->logits));
    if (run > 0) *ms = fmin(*ms, device_host_ms() - start);
  }
  return CLVGG_OK;
}

static int compare_numbers(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static double logits_tolerance(clvgg_precision precision) {
  switch (precision) {
    case CLVGG_PRECISION_F16W:
    case CLVGG_PRECISION_F16:
      return LOGITS_TOLERANCE_HALF;
    case CLVGG_PRECISION_BF16:
      return LOGITS_TOLERANCE_BF16;
    default:
      return LOGITS_TOLERANCE;
  }
}

/* logits: room for those of both plans. */
static clvgg_status run_turns(chain *c, const plan *found, float *logits, chain_verdict *out) {
  const size_t count = c->options.max_batch * shape3_elements(c->layers[c->count - 1].shape.out);
  const plan *plans[2] = {&c->untuned, found};
  const double start = device_host_ms();
  double ratio[TURNS], least[2] = {INFINITY, INFINITY};
  size_t turns = 0;
  const size_t most = plan_same(plans[0], plans[1]) ? 1 : TURNS;
  while (turns < most && (turns == 0 || device_host_ms() - start < COMPARE_MS)) {
    double ms[2];
    for (size_t i = 0; i < 2; i++) {
      const size_t which = chain_turn(turns, i);
      TRY(run_plan(c, plans[which], &ms[which]));
      memcpy(logits + which * count, c->logits, count * sizeof *logits);
      least[which] = fmin(least[which], ms[which]);
    }
    out->logits_error = fmax(out->logits_error, reference_compare(logits + count, logits, count).max_rel);
    ratio[turns++] = ms[1] / ms[0];
  }
  out->untuned_ms = least[0];
  out->ms = least[1];
  qsort(ratio, turns, sizeof *ratio, compare_numbers);
  out->ratio = turns % 2 ? ratio[turns / 2] : (ratio[turns / 2 - 1] + ratio[turns / 2]) / 2;
  out->right = out->logits_error <= logits_tolerance(c->options.precision);
  return CLVGG_OK;
}

clvgg_status chain_compare(chain *c, chain_verdict *out) {
  const double *step_ms;
  plan found;
  *out = (chain_verdict){.ratio = 1};
  TRY(plan_copy(engine_plan(c->engine, &step_ms), &found));
  const size_t logits = c->options.max_batch * shape3_elements(c->layers[c->count - 1].shape.out);
  float *both = malloc(2 * logits * sizeof *both);
  clvgg_status status =
      both ? run_turns(c, &found, both, out) : base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu logits", 2 * logits);
  free(both);
  /* Whatever the device reports, the models' plan has run. */
  if (chain_is_fault(status)) {
    out->right = false;
    status = CLVGG_OK;
  }
  if (!status) {
    const bool faster = !plan_same(&found, &c->untuned) && out->ratio <= WORTH_RATIO && out->ms <= out->untuned_ms;
    status = chain_use(c, out->right && faster ? &found : &c->untuned);
  }
  plan_free(&found);
  return status;
}
