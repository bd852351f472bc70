/* Runs plans of several precisions on the same images, judges their logits, and times them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "gate/internal.h"
#include "gate/limits.h"

/* On devices that take long, images beyond the first few are left out when this time is over, but not the caller's. */
#define LEAST_IMAGES 4
#define IMAGES_MS    5000.0
/* The least time of some runs counts, step by step. */
#define TIMED_LEAST 3
#define TIMED_MOST  20
#define TIMED_MS    200.0

typedef struct comparison {
  gate *g;
  size_t images, classes, image_bytes;
  float *want, *got; /* (samples.count, classes) */
} comparison;

clvgg_status gate_run_plan(gate *g, const plan *p) {
  plan copy;
  clvgg_engine_options options = g->options;
  options.precision = gate_plan_precision(p); /* AUTO is none that an engine knows */
  TRY(plan_copy(p, &copy));
  return g->engine ? engine_change_plan(g->engine, g->layers, &copy)
                   : engine_open_plan(g->dev, g->net, &options, &copy, &g->engine);
}

/* A batch of logits after the other, of c->images; or of as many as there is time for, which c->images then is. */
static clvgg_status run_images(comparison *c, bool as_many, float *logits) {
  const gate *g = c->g;
  const double start = device_host_ms();
  const size_t all = c->images;
  for (size_t done = 0; done < all;) {
    const size_t n = all - done < g->options.max_batch ? all - done : g->options.max_batch;
    TRY(engine_run_logits(g->engine, (const char *)g->samples.data + done * c->image_bytes, n,
                          logits + done * c->classes));
    done += n;
    if (!as_many) continue;
    c->images = done;
    if (!g->options.samples && done >= LEAST_IMAGES && device_host_ms() - start > IMAGES_MS) break;
  }
  return CLVGG_OK;
}

/* Step by step: what else the machine does then hits some runs of a step, not all. */
static clvgg_status time_steps(comparison *c, gate_candidate *one) {
  const gate *g = c->g;
  const size_t n = c->images < g->options.max_batch ? c->images : g->options.max_batch;
  const double start = device_host_ms(), *now;
  one->step_ms = malloc(one->plan.count * sizeof *one->step_ms);
  if (!one->step_ms) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the times of %zu steps", one->plan.count);
  for (size_t i = 0; i < one->plan.count; i++) one->step_ms[i] = INFINITY;
  for (int run = 0; run < TIMED_MOST && (run < TIMED_LEAST || device_host_ms() - start < TIMED_MS); run++) {
    TRY(engine_profile(g->engine, g->samples.data, n, c->got, NULL));
    engine_plan(g->engine, &now);
    for (size_t i = 0; i < one->plan.count; i++) one->step_ms[i] = fmin(one->step_ms[i], now[i]);
  }
  return CLVGG_OK;
}

/* A step takes as long in one plan as in another. */
static void share_times(const gate_candidate *from, gate_candidate *to) {
  for (size_t i = 0; from->step_ms && to->step_ms && i < to->plan.count; i++)
    for (size_t k = 0; k < from->plan.count; k++)
      if (plan_same_step(&from->plan.steps[k], &to->plan.steps[i]))
        to->step_ms[i] = fmin(to->step_ms[i], from->step_ms[k]);
}

static void add_times(gate *g) {
  gate_candidate *all[GATE_MOST] = {&g->exact};
  size_t count = 1;
  for (size_t i = 0; i < g->other_count; i++) all[count++] = &g->others[i];
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < count; k++)
      if (k != i) share_times(all[k], all[i]);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; all[i]->step_ms && k < all[i]->plan.count; k++) all[i]->ms += all[i]->step_ms[k];
}

static clvgg_status run_candidate(comparison *c, gate_candidate *one, bool as_many, float *logits) {
  TRY(gate_run_plan(c->g, &one->plan));
  if (c->g->options.precision == CLVGG_PRECISION_AUTO) TRY(time_steps(c, one));
  return run_images(c, as_many, logits);
}

/* One that the device does not run, or a weight that does not fit its form. */
static void refuse(gate_candidate *one) {
  one->accuracy = (clvgg_accuracy){
      .compared = one->precision, .state = CLVGG_ACCURACY_REFUSED, .limit = limits_error(one->precision)};
  snprintf(one->accuracy.reason, sizeof one->accuracy.reason, "%s: %.200s", clvgg_precision_name(one->precision),
           clvgg_last_error());
}

static clvgg_status compare_one(comparison *c, gate_candidate *one) {
  gate *g = c->g;
  const clvgg_status status = run_candidate(c, one, false, c->got);
  if (status && !gate_is_fault(status)) return status;
  if (status) {
    refuse(one);
    /* The other faults may be gone the next time. */
    if (status == CLVGG_ERROR_UNSUPPORTED) memory_add(g->verdicts, one->what, &one->accuracy);
    return CLVGG_OK;
  }
  limits_judge(one->precision, c->got, c->want, c->images, c->classes, &one->accuracy);
  snprintf(one->accuracy.samples, sizeof one->accuracy.samples, "%s", g->samples.source);
  memory_add(g->verdicts, one->what, &one->accuracy);
  return CLVGG_OK;
}

static clvgg_status compare_all(comparison *c, bool *compared) {
  gate *g = c->g;
  *compared = true;
  const clvgg_status status = run_candidate(c, &g->exact, true, c->want);
  if (gate_is_fault(status)) {
    *compared = false;
    engine_close(&g->engine);
    return CLVGG_OK;
  }
  TRY(status);
  for (size_t i = 0; i < g->other_count; i++) TRY(compare_one(c, &g->others[i]));
  add_times(g);
  return CLVGG_OK;
}

clvgg_status gate_compare(gate *g, bool *compared) {
  const shape3 input = g->layers[0].shape.in;
  comparison c = {.g = g, .classes = g->net->classes};
  size_t bytes;
  TRY(samples_load(&g->options, g->preprocess, input, &g->samples));
  c.images = g->samples.count;
  c.image_bytes = shape3_elements(input) * (g->options.input == CLVGG_INPUT_RGB8 ? 1 : sizeof(float));
  if (!size_product((size_t[]){c.images, c.classes, sizeof(float)}, 3, &bytes))
    return base_fail(CLVGG_ERROR_TOO_LARGE, "the logits of %zu images are more than memory can address", c.images);
  c.want = malloc(bytes);
  c.got = malloc(bytes);
  const clvgg_status status = c.want && c.got
                                  ? compare_all(&c, compared)
                                  : base_fail(CLVGG_ERROR_MEMORY, "no memory for the logits of %zu images", c.images);
  free(c.want);
  free(c.got);
  return status;
}
