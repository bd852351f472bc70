/* Checks and times candidates by themselves, from the most promising problem to the least. */
#include "tune/screen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "trust/check.h"
#include "trust/trust.h"

/* Values that are compared with the reference at a candidate's real size. */
#define SAMPLES 192
/* Timed runs of a candidate; only the first when it takes so many times the best of its problem. */
#define RUNS            4
#define HOPELESS_FACTOR 1.5
/* What stays in the search: caches are warm here and cold in the network, so the order can change. Small problems' times are mostly
 * those of a launch. */
#define KEEP_FACTOR       1.35
#define KEEP_SMALL_FACTOR 3.0
#define SMALL_MS          0.05

/* A problem of the search, with what is needed to run its candidates. */
typedef struct screen_problem {
  algo_problem problem;
  layer l;      /* the first layer that is this problem */
  size_t times; /* steps of the network that are */
  size_t tried;
  bool selected, weighted;
  bool explored; /* what differs a little from the best, centre, was added */
  size_t centre;
} screen_problem;

typedef struct screen {
  clvgg_device *dev;
  trust *trust;
  const search_options *options;
  candidates *c;
  screen_problem *subjects;
  size_t count;
  /* Of the subject that was last at work. */
  const screen_problem *loaded;
  float *in;
  reference_samples samples;
} screen;

/* name NULL: what belongs to no layer, and is in any search. */
static bool is_selected(const search_options *options, const char *name) {
  return !options->layer || !name || strcmp(options->layer, name) == 0;
}

static void add_subject(screen *s, const algo_problem *p, const layer *l, const char *name) {
  for (size_t i = 0; i < s->count; i++)
    if (costs_same_problem(&s->subjects[i].problem, p)) {
      s->subjects[i].times++;
      s->subjects[i].selected = s->subjects[i].selected || is_selected(s->options, name);
      return;
    }
  screen_problem *one = &s->subjects[s->count++];
  *one = (screen_problem){.problem = *p, .l = *l, .times = 1, .selected = is_selected(s->options, name)};
  one->l.shape = p->shape;
  one->weighted = layer_row_length(&p->shape) > 0;
}

/* A change of layout: it may crash like anything else, and is soon checked. */
static void add_change(screen *s, algo_problem *p, shape3 shape, const layer *l) {
  p->shape = (layer_shape){.op = LAYER_CONVERT, .in = shape, .out = shape};
  add_subject(s, p, l, NULL);
}

static clvgg_status make_subjects(screen *s, const layer *layers, size_t count, size_t batch) {
  s->subjects = calloc(4 * count, sizeof *s->subjects);
  if (!s->subjects) return base_fail(CLVGG_ERROR_MEMORY, "no memory to search %zu layers", count);
  algo_problem p = {.batch = batch, .block = algo_block(device_info(s->dev))};
  for (size_t i = 0; i < count; i++) {
    add_change(s, &p, layers[i].shape.in, &layers[i]);
    add_change(s, &p, layers[i].shape.out, &layers[i]);
    p.shape = layers[i].shape;
    add_subject(s, &p, &layers[i], layers[i].name);
    if (!plan_pooled_shape(layers, count, i, &p.shape)) continue;
    char both[2 * sizeof layers[i].name];
    snprintf(both, sizeof both, "%s+%s", layers[i].name, layers[i + 1].name);
    add_subject(s, &p, &layers[i], both);
  }
  return CLVGG_OK;
}

/* ---- one candidate */

/* Inputs of about a normalised image's range, and the reference's samples of the output. */
static clvgg_status load(screen *s, const screen_problem *one) {
  if (s->loaded == one) return CLVGG_OK;
  s->loaded = NULL;
  free(s->in);
  reference_samples_free(&s->samples);
  const shape3 in = one->problem.shape.in;
  const size_t floats = one->problem.batch * shape3_elements(in);
  s->in = malloc(floats * sizeof *s->in);
  if (!s->in) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the input of %s", one->l.name);
  /* A first layer that may be given pixels gets values that pixels can have. */
  if (one->l.pixels)
    pixels_random(one->l.pixels, 1, one->problem.batch, in.h * in.w, s->in);
  else
    random_fill(1, -2, 2, s->in, floats);
  TRY(reference_samples_make(&one->l, one->problem.batch, s->in, SAMPLES, &s->samples));
  s->loaded = one;
  return CLVGG_OK;
}

static double best_alone(const screen *s, const algo_problem *p, size_t *index) {
  double best = INFINITY;
  for (size_t i = 0; i < s->c->count; i++) {
    const candidate *one = &s->c->list[i];
    if (one->alone_ms > 0 && one->alone_ms < best && costs_same_problem(&one->problem, p)) {
      best = one->alone_ms;
      if (index) *index = i;
    }
  }
  return best;
}

static clvgg_status fail(candidate *one, candidate_fault fault, const char *why) {
  one->state = CANDIDATE_FAILED;
  one->fault = fault;
  snprintf(one->why, sizeof one->why, "%.*s", CANDIDATE_WHY_BYTES - 1, why);
  return CLVGG_OK;
}

/* What the compiler said, where it is told: what comes before, such as all options, is in the candidate already. */
static const char *compiler_words(const char *text) {
  const char *error = strstr(text, "error: ");
  return error ? error : text;
}

/* What a candidate may do wrong; everything else ends the search. */
static clvgg_status judge(candidate *one, clvgg_status status, bool finite, const char *why) {
  switch (status) {
    case CLVGG_ERROR_BUILD:
      return fail(one, FAULT_BUILD, compiler_words(clvgg_last_error()));
    case CLVGG_ERROR_MISMATCH:
      return fail(one, finite ? FAULT_WRONG : FAULT_NAN, why);
    case CLVGG_ERROR_DEVICE:
      return fail(one, FAULT_ERROR, clvgg_last_error());
    case CLVGG_ERROR_TOO_LARGE:
    case CLVGG_ERROR_UNSUPPORTED: /* a built kernel may allow less than was thought */
      one->state = CANDIDATE_PASSED;
      return CLVGG_OK;
    default:
      return status;
  }
}

/* The check's words for values that are not finite. */
static bool says_finite(const char *why) {
  return !strstr(why, "not finite");
}

static clvgg_status try_one(screen *s, const screen_problem *subject, candidate *one) {
  char why[TRUST_WHY_BYTES];
  const clvgg_status trusted = trust_check(s->trust, one->algo, &one->problem, one->param, why);
  if (trusted) return judge(one, trusted, says_finite(why), why);
  one->checked = !subject->weighted; /* what it takes in the network is soon found out */
  if (one->checked) return CLVGG_OK;
  TRY(load(s, subject));
  const double best = best_alone(s, &one->problem, NULL);
  check_timing timing = {.most_runs = RUNS, .hopeless_ms = isinf(best) ? 0 : HOPELESS_FACTOR * best};
  clvgg_verify_case result = {.layer = "search"};
  const clvgg_status status = check_algo_sampled(s->dev, one->algo, &one->problem, one->param, &subject->l, s->in,
                                                 &s->samples, &timing, &result);
  if (status) return judge(one, status, !isinf(result.max_abs), result.reason);
  one->checked = true;
  one->alone_ms = fmax(timing.ms, 1e-6); /* a coarse clock may see none */
  return CLVGG_OK;
}

static clvgg_status try_and_tell(screen *s, const screen_problem *subject, size_t index) {
  const search_watch *watch = s->options->watch;
  if (watch && watch->begin) watch->begin(&s->c->list[index], watch->user);
  TRY(try_one(s, subject, &s->c->list[index]));
  if (watch && watch->ended) watch->ended(&s->c->list[index], watch->user);
  return CLVGG_OK;
}

/* ---- which is next */

static bool is_untried(const candidate *one) {
  return one->state == CANDIDATE_NEW && !one->checked;
}

/* The subject's next candidate: the first by rank that was not tried; when none is left, those around its best. False at the end. */
static clvgg_status next_of(screen *s, screen_problem *one, bool *found, size_t *index) {
  for (int round = 0; round < 2; round++) {
    size_t best = 0;
    *found = false;
    for (size_t i = 0; i < s->c->count; i++) {
      const candidate *k = &s->c->list[i];
      if (!is_untried(k) || !costs_same_problem(&k->problem, &one->problem)) continue;
      if (!*found || k->rank < s->c->list[*index].rank) *index = i;
      *found = true;
    }
    if (*found || round > 0 || isinf(best_alone(s, &one->problem, &best))) return CLVGG_OK;
    if (one->explored && one->centre == best) return CLVGG_OK;
    one->explored = true;
    one->centre = best;
    TRY(candidates_add_around(s->c, device_info(s->dev), best));
  }
  return CLVGG_OK;
}

/* What there may be to gain: the time that the subject takes in the network, less the more was tried. */
static double promise(const screen *s, const screen_problem *one) {
  const double best = best_alone(s, &one->problem, NULL);
  if (isinf(best)) return 1e12 * (double)layer_flops(&one->problem.shape) + 1e12; /* nothing is known of it: first */
  return best * (double)one->times / (double)(1 + one->tried);
}

static clvgg_status next(screen *s, screen_problem **out, size_t *index) {
  bool *ended = calloc(s->count ? s->count : 1, sizeof *ended);
  if (!ended) return base_fail(CLVGG_ERROR_MEMORY, "no memory to search %zu problems", s->count);
  clvgg_status status = CLVGG_OK;
  *out = NULL;
  while (!*out && !status) {
    screen_problem *best = NULL;
    for (size_t i = 0; i < s->count; i++)
      if (!ended[i] && s->subjects[i].selected && (!best || promise(s, &s->subjects[i]) > promise(s, best)))
        best = &s->subjects[i];
    if (!best) break;
    bool found = false;
    status = next_of(s, best, &found, index);
    if (found)
      *out = best;
    else
      ended[best - s->subjects] = true;
  }
  free(ended);
  return status;
}

static bool is_over(const screen *s, double deadline) {
  const search_watch *watch = s->options->watch;
  return (deadline > 0 && device_host_ms() > deadline) || (watch && watch->stop && watch->stop(watch->user));
}

/* What cannot win any more, and what there was no time to check. */
static void pass_over(screen *s) {
  for (size_t i = 0; i < s->count; i++) {
    const screen_problem *one = &s->subjects[i];
    const double best = best_alone(s, &one->problem, NULL);
    const double keep = best < SMALL_MS ? KEEP_SMALL_FACTOR : KEEP_FACTOR;
    for (size_t k = 0; k < s->c->count; k++) {
      candidate *other = &s->c->list[k];
      if (other->state != CANDIDATE_NEW || !costs_same_problem(&other->problem, &one->problem)) continue;
      if (!other->checked || other->alone_ms > keep * best) other->state = CANDIDATE_PASSED;
    }
  }
}

clvgg_status screen_run(clvgg_device *dev, const layer *layers, size_t count, const search_options *options,
                        double deadline, candidates *c) {
  if (c->count == 0) return CLVGG_OK;
  screen s = {.dev = dev, .options = options, .c = c};
  clvgg_status status = make_subjects(&s, layers, count, c->list[0].problem.batch);
  if (!status) status = trust_open(dev, &s.trust);
  while (!status && !is_over(&s, deadline)) {
    screen_problem *one = NULL;
    size_t index = 0;
    status = next(&s, &one, &index);
    if (status || !one) break;
    one->tried++;
    status = try_and_tell(&s, one, index);
  }
  if (!status) pass_over(&s);
  trust_close(&s.trust);
  reference_samples_free(&s.samples);
  free(s.in);
  free(s.subjects);
  return status;
}
