/* Runs plan after plan on one engine until every way worth it was timed, then plans with the times. */
#include "tune/chain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "engine/trusted.h"
#include "measure/roofline.h"
#include "tune/internal.h"
#include "tune/screen.h"
#include "tune/tuned.h"

/* How much slower than a problem's best the near ones are at most, which are timed again: each time fewer. */
static const double again_factors[] = {1.25, 1.1, 1.05};
/* Timed runs of a plan; slow ones are stopped early. */
#define RUNS 5
/* What differs from the models' plan must be faster by more than chance: of many times that are equal, one looks least. */
#define CHANGE_FACTOR 1.01
/* The shares of a budget at whose end the stages end. What is left is for comparing the plan with the models'. */
#define SCREEN_SHARE 0.5
#define ROUNDS_SHARE 0.75
/* Runs of a plan that are timed in any case; more, only within so long. */
#define LEAST_RUNS 2
#define PROFILE_MS 2000.0
/* What was not tried yet: no time at all beside any that can be measured, the first of a problem's candidates less than the
 * next. What failed or was passed over: longer than anything that works. */
#define NEW_SECONDS    1e-12
#define FAILED_SECONDS 1e6

/* Between things that may take long. */
static void tell(const chain *c) {
  const search_watch *watch = c->search->watch;
  if (watch && watch->alive) watch->alive(watch->user);
}

/* Whether the share of the budget is spent, or the search is to stop. */
static bool is_over(const chain *c, double share) {
  const search_watch *watch = c->search->watch;
  const double budget = c->search->budget_ms;
  return (budget > 0 && device_host_ms() - c->start_ms > share * budget) ||
         (watch && watch->stop && watch->stop(watch->user));
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

/* What a candidate's edge is as long as, if not as its measured time. */
static clvgg_status add_unmeasured(plan_costs *costs, const candidate *one, bool explore, bool measured) {
  if (one->state == CANDIDATE_NEW && explore)
    return costs_add(costs, one->algo, &one->problem, one->param, NEW_SECONDS * (double)one->rank);
  if (one->state == CANDIDATE_FAILED)
    (void)costs_remove(costs, one->algo, &one->problem, one->param); /* it may have run before */
  else if (measured)
    return CLVGG_OK;
  return costs_add(costs, one->algo, &one->problem, one->param, FAILED_SECONDS);
}

static bool is_untuned(const chain *c, const plan_cost *m) {
  for (size_t i = 0; i < c->untuned.count; i++) {
    const plan_step *step = &c->untuned.steps[i];
    if (step->algo == m->algo && costs_same_problem(&step->problem, &m->problem) &&
        memcmp(step->param, m->param, sizeof step->param) == 0)
      return true;
  }
  return false;
}

clvgg_status chain_make_plan(const chain *c, const plan_costs *known, bool explore, plan *out) {
  plan_costs costs = {.flops_per_s = known->flops_per_s};
  clvgg_status status = CLVGG_OK;
  for (size_t i = 0; i < known->count && !status; i++) {
    const plan_cost *m = &known->entries[i];
    const double factor = explore || is_untuned(c, m) ? 1 : CHANGE_FACTOR;
    status = costs_add(&costs, m->algo, &m->problem, m->param, factor * m->seconds);
  }
  for (size_t i = 0; i < c->candidates.count && !status; i++) {
    const candidate *one = &c->candidates.list[i];
    const bool measured = costs_find(known, one->algo, &one->problem, one->param) != NULL;
    status = add_unmeasured(&costs, one, explore, measured);
  }
  plan_options wishes = c->wishes;
  wishes.measured = &costs;
  /* What is not known counts as taking no time, so that there is nothing to weigh memory against. */
  if (explore && wishes.memory == CLVGG_MEMORY_BALANCED) wishes.memory = CLVGG_MEMORY_FAST;
  if (!status) status = trusted_plan(c->dev, c->layers, c->count, c->options.max_batch, &wishes, out);
  costs_free(&costs);
  return status;
}

static double sum_ms(const plan *p, const double *step_ms) {
  double sum = 0;
  for (size_t i = 0; i < p->count; i++) sum += step_ms[i];
  return sum;
}

clvgg_status chain_profile(chain *c, int runs, plan_costs *costs, double *least_ms) {
  const double *step_ms;
  const plan *p = engine_plan(c->engine, &step_ms);
  const double start = device_host_ms();
  *least_ms = INFINITY;
  for (int run = 0; run <= runs; run++) {
    if (run > LEAST_RUNS && device_host_ms() - start > PROFILE_MS) break;
    TRY(engine_profile(c->engine, c->images, c->options.max_batch, c->logits, NULL));
    if (run > 0) *least_ms = fmin(*least_ms, sum_ms(p, step_ms));
    for (size_t i = 0; i < p->count && run > 0; i++) {
      const plan_step *step = &p->steps[i];
      const double seconds = step_ms[i] > 0 ? step_ms[i] / 1e3 : 0; /* a coarse clock may see none */
      TRY(costs_add(costs, step->algo, &step->problem, step->param, seconds));
    }
  }
  return CLVGG_OK;
}

/* Times the engine's steps. */
static clvgg_status time_steps(chain *c) {
  const double *step_ms;
  const plan *p = engine_plan(c->engine, &step_ms);
  const search_watch *watch = c->search->watch;
  double least;
  TRY(chain_profile(c, RUNS, &c->measured, &least));
  set_state(c, p, CANDIDATE_NEW, CANDIDATE_TIMED);
  set_state(c, p, CANDIDATE_PASSED, CANDIDATE_TIMED);
  for (size_t i = 0; i < p->count && watch && watch->timed; i++) {
    const candidate *one = candidate_of(c, &p->steps[i]);
    if (one) watch->timed(one, costs_find(&c->measured, one->algo, &one->problem, one->param)->seconds, watch->user);
  }
  if (watch && watch->ran) watch->ran(p, least, watch->user);
  return CLVGG_OK;
}

/* One plan with something new, made and timed; *more is false when there is none. */
static clvgg_status explore(chain *c, bool *more) {
  plan p;
  TRY(chain_make_plan(c, &c->measured, true, &p));
  *more = has_new(c, &p);
  if (!*more) {
    plan_free(&p);
    return CLVGG_OK;
  }
  clvgg_status status = engine_change_plan(c->engine, c->layers, &p);
  if (!status) status = time_steps(c);
  if (!chain_is_fault(status)) return status;
  base_log("device '%s': %s; what was new in that plan is not used", device_info(c->dev)->name, clvgg_last_error());
  const double *step_ms;
  set_state(c, engine_plan(c->engine, &step_ms), CANDIDATE_NEW, CANDIDATE_FAILED);
  return CLVGG_OK;
}

/* Inputs of about a normalised image's range: with zeros a rectifier's outputs could be special numbers, of other speed. */
static clvgg_status make_images(chain *c) {
  const size_t batch = c->options.max_batch;
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
static void look_again(chain *c, double factor) {
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
    if (one->state == CANDIDATE_TIMED && next <= factor * best && seconds_of(c, one) <= factor * best)
      one->state = CANDIDATE_NEW;
  }
}

/* Plans with something new, until there is none. */
static clvgg_status explore_all(chain *c) {
  bool more = true;
  while (more && !is_over(c, ROUNDS_SHARE)) {
    tell(c);
    TRY(explore(c, &more));
  }
  return CLVGG_OK;
}

clvgg_status chain_search(chain *c) {
  const double budget = c->search->budget_ms;
  tell(c);
  TRY(time_steps(c)); /* the plan without tuning */
  TRY(screen_run(c->dev, c->layers, c->count, c->search, budget > 0 ? c->start_ms + SCREEN_SHARE * budget : 0,
                 &c->candidates));
  TRY(explore_all(c));
  for (size_t again = 0; again < sizeof again_factors / sizeof *again_factors; again++) {
    look_again(c, again_factors[again]);
    TRY(explore_all(c));
  }
  plan found;
  TRY(chain_make_plan(c, &c->measured, false, &found));
  tell(c);
  const clvgg_status status = chain_settle(c, &found);
  plan_free(&found);
  return status;
}

static clvgg_status open(chain *c, const network *net) {
  TRY(roofline_measure(c->dev, &c->roofline)); /* before the engine, whose weights may leave little memory for it */
  c->measured.flops_per_s = c->roofline.peak_gflops * 1e9;
  TRY(engine_layers(net, &c->options, &c->pixels, &c->layers, &c->count));
  TRY(tuned_open_untuned(c->dev, net, &c->options, &c->engine));
  const double *step_ms;
  TRY(plan_copy(engine_plan(c->engine, &step_ms), &c->untuned));
  TRY(make_images(c));
  return candidates_make(device_info(c->dev), c->layers, c->count, c->options.max_batch, &c->wishes,
                         c->search->exhaustive, &c->candidates);
}

clvgg_status chain_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options,
                        const search_options *search, chain **out) {
  *out = NULL;
  chain *c = calloc(1, sizeof *c);
  if (!c) return base_fail(CLVGG_ERROR_MEMORY, "no memory for a search");
  *c = (chain){.dev = dev,
               .options = *options,
               .search = search,
               .wishes = engine_wishes(options),
               .start_ms = device_host_ms()};
  const clvgg_status status = open(c, net);
  if (status)
    chain_close(&c);
  else
    *out = c;
  return status;
}

void chain_close(chain **pointer) {
  chain *c = *pointer;
  if (!c) return;
  *pointer = NULL;
  engine_close(&c->engine);
  candidates_free(&c->candidates);
  costs_free(&c->measured);
  plan_free(&c->untuned);
  free(c->layers);
  free(c->images);
  free(c->logits);
  free(c);
}

bool chain_know(chain *c, const algo *a, const algo_problem *p, const int *param, candidate_fault fault,
                double alone_ms, double seconds) {
  candidate *one = candidates_take(&c->candidates, device_info(c->dev), &c->wishes, a, p, param);
  if (!one) return false;
  if (fault != FAULT_NONE) {
    one->state = CANDIDATE_FAILED;
    one->fault = fault;
    return true;
  }
  if (alone_ms == 0 && seconds == 0) one->rank = 0; /* a suggestion: first */
  one->checked = one->checked || alone_ms > 0;
  if (alone_ms > 0) one->alone_ms = alone_ms;
  if (seconds > 0 && costs_add(&c->measured, a, p, param, seconds) == CLVGG_OK) one->state = CANDIDATE_TIMED;
  return true;
}

const plan *chain_plan(const chain *c) {
  const double *step_ms;
  return engine_plan(c->engine, &step_ms);
}

const plan *chain_untuned(const chain *c) {
  return &c->untuned;
}

double chain_flops_per_s(const chain *c) {
  return c->roofline.peak_gflops * 1e9;
}

double chain_bytes_per_s(const chain *c) {
  return c->roofline.peak_gbytes_per_s * 1e9;
}
