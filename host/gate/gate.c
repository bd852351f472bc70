/* Decides which precision an engine gets. */
#include "gate/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "gate/internal.h"
#include "tune/rows.h"

/* A less exact precision is worth it when it is faster by more than chance. */
#define WORTH_RATIO 0.98

/* ---- cases */

static void name_case(const gate *g, clvgg_precision precision, uint64_t weights, uint64_t plans, char *out) {
  clvgg_engine_options options = g->options;
  char name[ROWS_NETWORK_BYTES];
  options.precision = precision;
  rows_network(g->layers, g->count, &options, name);
  memory_case(name, weights, plans, g->samples.digest, out);
}

static clvgg_status open_memory(gate *g) {
  if (g->wish != TRUST_ALWAYS) TRY(verdicts_open(device_info(g->dev), g->wish == TRUST_ONCE, &g->verdicts));
  TRY(samples_find(&g->options, g->preprocess, g->layers[0].shape.in, &g->samples));
  const uint64_t weights = memory_weights(g->layers, g->count);
  uint64_t plans = memory_plan(HASH_START, &g->exact.plan);
  for (size_t i = 0; i < g->other_count; i++) {
    gate_candidate *one = &g->others[i];
    name_case(g, one->precision, weights, memory_plan(HASH_START, &one->plan), one->what);
    plans = memory_plan(plans, &one->plan);
  }
  name_case(g, CLVGG_PRECISION_AUTO, weights, plans, g->choice);
  return CLVGG_OK;
}

/* ---- ends: the engine runs a plan, and result says why */

static clvgg_status end_with(gate *g, const gate_candidate *one, const clvgg_accuracy *accuracy, gate_result *out) {
  *out = (gate_result){.accuracy = *accuracy, .opened = one->precision};
  out->accuracy.precision = gate_plan_precision(&one->plan);
  return gate_run_plan(g, &one->plan);
}

/* A less exact plan, or one that turned out to have nothing less exact in it, that was not compared. */
static clvgg_status end_unchecked(gate *g, const gate_candidate *one, const char *why, gate_result *out) {
  const bool is_exact = gate_plan_precision(&one->plan) == CLVGG_PRECISION_F32;
  clvgg_accuracy accuracy = {.compared = is_exact ? CLVGG_PRECISION_F32 : one->precision,
                             .state = is_exact ? CLVGG_ACCURACY_EXACT : CLVGG_ACCURACY_UNCHECKED};
  snprintf(accuracy.reason, sizeof accuracy.reason, "%s", why);
  return end_with(g, one, &accuracy, out);
}

/* Steps of f32 in place of less exact ones say so in their source. */
static void mark_refused(plan *exact, const gate_candidate *refused) {
  for (size_t i = 0; i < exact->count; i++) {
    plan_step *step = &exact->steps[i];
    const size_t used = strlen(step->source), left = sizeof step->source - used;
    for (size_t k = 0; k < refused->plan.count; k++) {
      const plan_step *other = &refused->plan.steps[k];
      if (step->layers && other->layer == step->layer && other->layers && other->algo->form != ALGO_F32)
        snprintf(step->source + used, left, "; %s refused", clvgg_precision_name(refused->precision));
    }
  }
}

static clvgg_status end_refused(gate *g, const gate_candidate *refused, gate_result *out) {
  TRY(gate_make_exact(g));
  base_log("device '%s': %s; the plan is f32", device_info(g->dev)->name, refused->accuracy.reason);
  mark_refused(&g->exact.plan, refused);
  return end_with(g, &g->exact, &refused->accuracy, out);
}

/* Where the device cannot run f32, there is nothing to compare with, and nothing else to run. */
static clvgg_status end_without_exact(gate *g, gate_result *out) {
  clvgg_status status = CLVGG_ERROR_DEVICE;
  char why[256];
  snprintf(why, sizeof why, "f32, to compare with, does not run: %.200s", clvgg_last_error());
  for (size_t i = 0; i < g->other_count; i++) {
    status = end_unchecked(g, &g->others[i], why, out);
    if (!gate_is_fault(status)) break;
  }
  if (!status) base_log("device '%s': %s", device_info(g->dev)->name, why);
  return status;
}

/* ---- choices */

static bool passed(const gate_candidate *one) {
  return one->accuracy.state == CLVGG_ACCURACY_PASSED || one->accuracy.state == CLVGG_ACCURACY_EXACT;
}

/* The fastest that passed, and what the choice was made from in words. */
static const gate_candidate *choose(gate *g, char *reason, size_t bytes) {
  const gate_candidate *best = &g->exact;
  int used = snprintf(reason, bytes, "f32 %.3g ms", g->exact.ms);
  for (size_t i = 0; i < g->other_count; i++) {
    const gate_candidate *one = &g->others[i];
    const char *name = clvgg_precision_name(one->precision);
    if (used < 0 || (size_t)used >= bytes) used = (int)bytes - 1;
    used += passed(one) ? snprintf(reason + used, bytes - (size_t)used, ", %s %.3g ms", name, one->ms)
                        : snprintf(reason + used, bytes - (size_t)used, ", %s refused", name);
    if (!passed(one))
      base_log("device '%s': %s; it is not used", device_info(g->dev)->name, one->accuracy.reason);
    else if (one->ms < best->ms * WORTH_RATIO)
      best = one;
  }
  return best;
}

static clvgg_status end_with_choice(gate *g, gate_result *out) {
  clvgg_accuracy accuracy;
  char reason[sizeof accuracy.reason];
  const gate_candidate *best = choose(g, reason, sizeof reason);
  accuracy = best->accuracy;
  accuracy.compared = best->precision;
  memcpy(accuracy.reason, reason, sizeof reason);
  memory_add(g->verdicts, g->choice, &accuracy);
  return end_with(g, best, &accuracy, out);
}

/* A choice made before. */
static clvgg_status end_as_before(gate *g, const clvgg_accuracy *accuracy, gate_result *out) {
  const gate_candidate *one = &g->exact;
  for (size_t i = 0; i < g->other_count; i++)
    if (g->others[i].precision == accuracy->compared) one = &g->others[i];
  return end_with(g, one, accuracy, out);
}

static clvgg_status open_one(gate *g, gate_result *out) {
  gate_candidate *one = &g->others[0];
  bool compared = true;
  if (gate_plan_precision(&one->plan) == CLVGG_PRECISION_F32)
    return end_unchecked(g, one, "the device has no faster algorithm in this precision", out);
  if (g->wish == TRUST_ALWAYS) return end_unchecked(g, one, "CLVGG_TRUST=always", out);
  TRY(open_memory(g));
  if (!memory_find(g->verdicts, one->what, &one->accuracy)) {
    TRY(gate_make_exact(g));
    TRY(gate_compare(g, &compared));
  }
  if (!compared) return end_without_exact(g, out);
  return passed(one) ? end_with(g, one, &one->accuracy, out) : end_refused(g, one, out);
}

static clvgg_status open_fastest(gate *g, gate_result *out) {
  clvgg_accuracy accuracy;
  bool compared = true;
  if (g->other_count == 0)
    return end_unchecked(g, &g->exact, "the device has no faster algorithm in another precision", out);
  TRY(open_memory(g));
  if (memory_find(g->verdicts, g->choice, &accuracy)) return end_as_before(g, &accuracy, out);
  TRY(gate_compare(g, &compared));
  return compared ? end_with_choice(g, out) : end_without_exact(g, out);
}

static clvgg_status open_any(gate *g, gate_result *out) {
  switch (g->options.precision) {
    case CLVGG_PRECISION_F32:
      TRY(gate_make_exact(g));
      return end_unchecked(g, &g->exact,
                           gate_plan_precision(&g->exact.plan) ? "its algorithms were asked for by name" : "", out);
    case CLVGG_PRECISION_AUTO:
      TRY(gate_make_others(g));
      return open_fastest(g, out);
    default:
      TRY(gate_make_others(g));
      return open_one(g, out);
  }
}

/* ---- the whole */

static void free_candidate(gate_candidate *one) {
  plan_free(&one->plan);
  free(one->step_ms);
  *one = (gate_candidate){0};
}

/* Whether a plan was the tuning database's; all are gone afterwards, and what is known of them. */
static bool forget(gate *g) {
  bool stored = g->exact.stored;
  free_candidate(&g->exact);
  for (size_t i = 0; i < g->other_count; i++) {
    stored = stored || g->others[i].stored;
    free_candidate(&g->others[i]);
  }
  g->other_count = 0;
  verdicts_close(&g->verdicts);
  samples_free(&g->samples);
  return stored;
}

clvgg_status gate_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options,
                       const clvgg_preprocess *preprocess, engine **out, gate_result *result) {
  gate g = {.dev = dev, .net = net, .options = *options, .preprocess = preprocess, .stored = true};
  *out = NULL;
  *result = (gate_result){0};
  TRY(trust_read_wish(&g.wish));
  clvgg_status status = engine_layers(net, options, &g.pixels, &g.layers, &g.count);
  if (!status) status = open_any(&g, result);
  const bool stored = forget(&g);
  if (status) engine_close(&g.engine);
  if (gate_is_fault(status) && stored) {
    /* It needs more than there is here, for example. */
    base_log("device '%s': the tuned plan is not used: %s", device_info(dev)->name, clvgg_last_error());
    g.stored = false;
    status = open_any(&g, result);
    (void)forget(&g);
    if (status) engine_close(&g.engine);
  }
  free(g.layers);
  *out = g.engine;
  return status;
}
