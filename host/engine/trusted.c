/* Plans, checks every step's algorithm, and plans again without those that failed. */
#include "engine/trusted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust/trust.h"

typedef struct vetting {
  clvgg_device *dev;
  trust *trust;
  size_t layers;
  bool *excluded;      /* (algorithms): the caller's, and what failed */
  bool *missed;        /* (layers, algorithms): failed, and would have been used for the layer */
  clvgg_status status; /* of the last failed check */
  char failure[400];   /* which it was and why */
} vetting;

/* Whether step does layer i; a change of layout belongs to the layer after it. */
static bool covers(const plan_step *step, size_t i, size_t layers) {
  const size_t first = step->layer < layers ? step->layer : layers - 1;
  return i >= first && i < first + (step->layers ? step->layers : 1);
}

/* Failures of the host, and of what belongs to all algorithms alike, are errors; the others are what checks are for. */
static bool is_verdict(clvgg_status status) {
  return status == CLVGG_ERROR_MISMATCH || status == CLVGG_ERROR_BUILD || status == CLVGG_ERROR_DEVICE;
}

static clvgg_status check_step(vetting *v, const plan_step *step) {
  const size_t k = algo_index(step->algo);
  char why[TRUST_WHY_BYTES], params[128];
  if (v->excluded[k]) return CLVGG_OK; /* failed for a step before */
  const clvgg_status status = trust_check(v->trust, step->algo, &step->problem, step->param, why);
  if (!is_verdict(status)) return status;
  v->excluded[k] = true;
  v->status = status;
  snprintf(v->failure, sizeof v->failure, "%s [%s] failed verification: %s", step->algo->name,
           algo_params_text(step->algo, step->param, params, sizeof params), why);
  base_log("device '%s': %s; it is not used", device_info(v->dev)->name, v->failure);
  return CLVGG_OK;
}

/* True when no step has failed. */
static clvgg_status check_steps(vetting *v, const plan *p, bool *all_right) {
  for (size_t i = 0; i < p->count; i++) TRY(check_step(v, &p->steps[i]));
  *all_right = true;
  for (size_t i = 0; i < p->count; i++) {
    const size_t k = algo_index(p->steps[i].algo);
    if (!v->excluded[k]) continue;
    *all_right = false;
    for (size_t l = 0; l < v->layers; l++)
      if (covers(&p->steps[i], l, v->layers)) v->missed[l * algo_count() + k] = true;
  }
  return CLVGG_OK;
}

/* "model; conv_f32_nchwc_winograd failed verification", or how many did. */
static void tell_source(const vetting *v, plan_step *step) {
  size_t failed = 0;
  const char *name = NULL;
  for (size_t k = 0; k < algo_count(); k++) {
    bool missed = false;
    for (size_t l = 0; l < v->layers; l++)
      missed = missed || (covers(step, l, v->layers) && v->missed[l * algo_count() + k]);
    if (!missed || (step->layers == 0 && algo_get(k)->op != LAYER_CONVERT)) continue; /* the layer itself says it */
    failed++;
    name = algo_get(k)->name;
  }
  const size_t used = strlen(step->source), left = sizeof step->source - used;
  if (failed == 1 && snprintf(NULL, 0, "; %s failed verification", name) < (int)left)
    snprintf(step->source + used, left, "; %s failed verification", name);
  else if (failed)
    snprintf(step->source + used, left, "; %zu failed verification", failed);
}

static clvgg_status vet(vetting *v, const layer *layers, size_t batch, const plan_options *wishes, plan *out) {
  plan_options options = *wishes;
  options.excluded = v->excluded;
  if (wishes->excluded) memcpy(v->excluded, wishes->excluded, algo_count() * sizeof *v->excluded);
  bool all_right = false;
  /* Every round but the last takes an algorithm out. */
  for (size_t round = 0; round <= algo_count(); round++) {
    plan_free(out);
    const clvgg_status status = plan_make(device_info(v->dev), layers, v->layers, batch, &options, out);
    if (status && v->status)
      return base_fail(v->status, "device '%s': %s, and nothing else is left", device_info(v->dev)->name, v->failure);
    TRY(status);
    TRY(check_steps(v, out, &all_right));
    if (all_right) break;
  }
  for (size_t i = 0; i < out->count; i++) tell_source(v, &out->steps[i]);
  return CLVGG_OK;
}

clvgg_status trusted_plan(clvgg_device *dev, const layer *layers, size_t count, size_t batch,
                          const plan_options *wishes, plan *out) {
  *out = (plan){0};
  vetting v = {.dev = dev, .layers = count};
  v.excluded = calloc(algo_count(), sizeof *v.excluded);
  v.missed = calloc(count * algo_count(), sizeof *v.missed);
  clvgg_status status =
      v.excluded && v.missed ? CLVGG_OK : base_fail(CLVGG_ERROR_MEMORY, "no memory to plan %zu layers", count);
  if (!status) status = trust_open(dev, &v.trust);
  if (!status) status = vet(&v, layers, batch, wishes, out);
  trust_close(&v.trust);
  free(v.missed);
  free(v.excluded);
  if (status) plan_free(out);
  return status;
}

clvgg_status trusted_check(clvgg_device *dev, const plan *p) {
  trust *t = NULL;
  TRY(trust_open(dev, &t));
  clvgg_status status = CLVGG_OK;
  for (size_t i = 0; i < p->count && !status; i++) {
    const plan_step *step = &p->steps[i];
    char why[TRUST_WHY_BYTES];
    status = trust_check(t, step->algo, &step->problem, step->param, why);
    if (is_verdict(status))
      status =
          base_fail(status, "device '%s': %s failed verification: %s", device_info(dev)->name, step->algo->name, why);
  }
  trust_close(&t);
  return status;
}
