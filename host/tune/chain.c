/* Runs plan after plan on one engine until every way worth it was timed, then plans with the times. */
#include "tune/chain.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/size.h"
#include "engine/trusted.h"
#include "measure/roofline.h"
#include "tune/candidates.h"

#define MOST_ROUNDS 12
/* Plans that time the near ones again, and how much slower than a problem's best they are at most. */
#define AGAIN_ROUNDS 4
#define AGAIN_FACTOR 1.25
/* Timed runs of a plan, after one that does not count; slow ones are stopped early. */
#define MOST_RUNS  5
#define LEAST_RUNS 2
#define ROUND_MS   2000.0
/* What was not tried yet: no time at all beside any that can be measured, the first of a problem's candidates less than the
 * next. What failed: longer than anything that works. */
#define NEW_SECONDS    1e-12
#define FAILED_SECONDS 1e6

typedef struct chain {
  clvgg_device *dev;
  engine *engine;
  const clvgg_engine_options *options;
  pixel_map pixels; /* of the first layer, if its input is pixels */
  layer *layers;    /* (count) */
  size_t count;
  plan_costs measured;
  candidates candidates;
  float *images, *logits; /* (max_batch, C, H, W), of which pixels are the first bytes; (max_batch, classes) */
} chain;

static void tell(const chain *c, size_t done, size_t total) {
  if (c->options->progress) c->options->progress(done, total, c->options->progress_user);
}

/* The candidate that a step is; NULL when it is none. */
static candidate *candidate_of(const chain *c, const plan_step *step) {
  return candidates_find(&c->candidates, step->algo, &step->problem, step->param);
}

static void set_state(const chain *c, const plan *p, candidate_state from, candidate_state to) {
  for (size_t i = 0; i < p->count; i++) {
    candidate *one = candidate_of(c, &p->steps[i]);
    if (one && one->state == from) one->state = to;
  }
}

static bool has_new(const chain *c, const plan *p) {
  for (size_t i = 0; i < p->count; i++) {
    const candidate *one = candidate_of(c, &p->steps[i]);
    if (one && one->state == CANDIDATE_NEW) return true;
  }
  return false;
}

/* The plan by what is known. explore: what is not known counts as fast, else it is left to the models. */
static clvgg_status make_plan(const chain *c, bool explore, plan *out) {
  plan_costs costs = {.flops_per_s = c->measured.flops_per_s};
  clvgg_status status = CLVGG_OK;
  for (size_t i = 0; i < c->measured.count && !status; i++) {
    const plan_cost *m = &c->measured.entries[i];
    status = costs_add(&costs, m->algo, &m->problem, m->param, m->seconds);
  }
  for (size_t i = 0; i < c->candidates.count && !status; i++) {
    const candidate *one = &c->candidates.list[i];
    if (one->state == CANDIDATE_FAILED) {
      costs_remove(&costs, one->algo, &one->problem, one->param); /* it may have run before */
      status = costs_add(&costs, one->algo, &one->problem, one->param, FAILED_SECONDS);
    } else if (one->state == CANDIDATE_NEW && explore) {
      status = costs_add(&costs, one->algo, &one->problem, one->param, NEW_SECONDS * (double)one->rank);
    }
  }
  plan_options wishes = engine_wishes(c->options);
  wishes.measured = &costs;
  if (!status) status = trusted_plan(c->dev, c->layers, c->count, c->options->max_batch, &wishes, out);
  costs_free(&costs);
  return status;
}

/* Times the engine's steps. */
static clvgg_status time_steps(chain *c) {
  const double *step_ms;
  const plan *p = engine_plan(c->engine, &step_ms);
  const double start = device_host_ms();
  for (int run = 0; run <= MOST_RUNS; run++) {
    if (run > LEAST_RUNS && device_host_ms() - start > ROUND_MS) break;
    TRY(engine_profile(c->engine, c->images, c->options->max_batch, c->logits, NULL));
    for (size_t i = 0; i < p->count && run > 0; i++) {
      const plan_step *step = &p->steps[i];
      const double seconds = step_ms[i] > 0 ? step_ms[i] / 1e3 : 0; /* a coarse clock may see none */
      TRY(costs_add(&c->measured, step->algo, &step->problem, step->param, seconds));
    }
  }
  set_state(c, p, CANDIDATE_NEW, CANDIDATE_TIMED);
  return CLVGG_OK;
}

/* What a candidate may do wrong; everything else ends the measuring. */
static bool is_candidates_fault(clvgg_status status) {
  return status == CLVGG_ERROR_DEVICE || status == CLVGG_ERROR_BUILD || status == CLVGG_ERROR_TOO_LARGE ||
         status == CLVGG_ERROR_UNSUPPORTED;
}

/* One plan with something new, made and timed; *more is false when there is none. */
static clvgg_status explore(chain *c, bool *more) {
  plan p;
  TRY(make_plan(c, true, &p));
  *more = has_new(c, &p);
  if (!*more) {
    plan_free(&p);
    return CLVGG_OK;
  }
  clvgg_status status = engine_change_plan(c->engine, c->layers, &p);
  if (!status) status = time_steps(c);
  if (!is_candidates_fault(status)) return status;
  base_log("device '%s': %s; what was new in that plan is not used", device_info(c->dev)->name, clvgg_last_error());
  const double *step_ms;
  set_state(c, engine_plan(c->engine, &step_ms), CANDIDATE_NEW, CANDIDATE_FAILED);
  return CLVGG_OK;
}

/* Inputs of about a normalised image's range: with zeros a rectifier's outputs could be special numbers, of other speed. */
static clvgg_status make_images(chain *c) {
  const size_t batch = c->options->max_batch;
  const size_t in = batch * shape3_elements(c->layers[0].shape.in);
  const size_t out = batch * shape3_elements(c->layers[c->count - 1].shape.out);
  c->images = malloc(in * sizeof *c->images);
  c->logits = malloc(out * sizeof *c->logits);
  if (!c->images || !c->logits) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu images", batch);
  random_fill(1, -2, 2, c->images, in);
  return CLVGG_OK;
}

static double seconds_of(const chain *c, const candidate *one) {
  const plan_cost *found = costs_find(&c->measured, one->algo, &one->problem, one->param);
  return found ? found->seconds : INFINITY;
}

/* Makes new again what is near the best of its problem, where there is a choice. What disturbs a machine lasts for more than
 * a plan's runs, and a plan later may be free of it; the least of both times counts. */
static void look_again(chain *c) {
  for (size_t i = 0; i < c->candidates.count; i++) {
    candidate *one = &c->candidates.list[i];
    double best = INFINITY, next = INFINITY; /* the two fastest of its problem */
    for (size_t k = 0; k < c->candidates.count; k++) {
      const candidate *other = &c->candidates.list[k];
      if (!costs_same_problem(&other->problem, &one->problem)) continue;
      const double seconds = seconds_of(c, other);
      next = fmin(next, fmax(best, seconds));
      best = fmin(best, seconds);
    }
    if (one->state == CANDIDATE_NEW) one->state = CANDIDATE_PASSED;
    if (one->state == CANDIDATE_TIMED && next <= AGAIN_FACTOR * best && seconds_of(c, one) <= AGAIN_FACTOR * best)
      one->state = CANDIDATE_NEW;
  }
}

static clvgg_status measure(chain *c) {
  const plan_options wishes = engine_wishes(c->options);
  TRY(make_images(c));
  TRY(candidates_make(device_info(c->dev), c->layers, c->count, c->options->max_batch, &wishes, &c->candidates));
  const size_t most = c->candidates.most < MOST_ROUNDS ? c->candidates.most : MOST_ROUNDS, total = most + AGAIN_ROUNDS;
  tell(c, 0, total);
  /* The plan that the models made comes first. */
  TRY(time_steps(c));
  bool more = true;
  for (size_t round = 1; round < MOST_ROUNDS && more; round++) {
    tell(c, round < most ? round : most, total);
    TRY(explore(c, &more));
  }
  look_again(c);
  more = true;
  for (size_t round = 0; round < AGAIN_ROUNDS && more; round++) {
    tell(c, most + round, total);
    TRY(explore(c, &more));
  }
  plan p;
  TRY(make_plan(c, false, &p));
  TRY(engine_change_plan(c->engine, c->layers, &p));
  tell(c, total, total);
  return CLVGG_OK;
}

clvgg_status chain_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options, engine **out,
                        chain_report *report) {
  *out = NULL;
  *report = (chain_report){0};
  chain c = {.dev = dev, .options = options};
  /* Before the engine, whose weights may leave little memory to measure it with. */
  const double start = device_host_ms();
  clvgg_roofline roofline;
  clvgg_status status = roofline_measure(dev, &roofline);
  if (!status) c.measured.flops_per_s = roofline.peak_gflops * 1e9;
  report->ms = device_host_ms() - start;
  if (!status) status = engine_layers(net, options, &c.pixels, &c.layers, &c.count);
  if (!status) status = engine_open(dev, net, options, &c.engine);
  const double opened = device_host_ms();
  if (!status) status = measure(&c);
  report->ms += device_host_ms() - opened;
  report->measured = c.measured.count;
  if (status)
    engine_close(&c.engine);
  else
    *out = c.engine;
  candidates_free(&c.candidates);
  costs_free(&c.measured);
  free(c.layers);
  free(c.images);
  free(c.logits);
  return status;
}
