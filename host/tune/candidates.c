/* Lists candidates: the problems of a network, their algorithms, and the parameter sets beside the chosen ones. */
#include "tune/candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* Other parameter sets of a problem: so much dearer than the best, by the model, and so many. */
#define NEIGHBOUR_FACTOR 1.6
#define MOST_NEIGHBOURS  8
/* A problem of fewer operations is tiny. The slowest algorithm computes it in some milliseconds. */
#define TINY_FLOPS 1e7

const char *candidate_fault_name(candidate_fault fault) {
  static const char *const names[FAULTS] = {"", "build", "crash", "hang", "error", "nan", "wrong"};
  return fault < FAULTS ? names[fault] : "unknown";
}

static clvgg_status add(candidates *c, const candidate *one) {
  if (c->count == c->capacity) {
    size_t capacity = c->capacity ? 2 * c->capacity : 256, bytes;
    candidate *list = size_mul(capacity, sizeof *list, &bytes) ? realloc(c->list, bytes) : NULL;
    if (!list) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu candidates", capacity);
    c->list = list;
    c->capacity = capacity;
  }
  c->list[c->count++] = *one;
  return CLVGG_OK;
}

static bool same_params(const candidate *a, const int *param) {
  for (size_t i = 0; a->algo->params && a->algo->params[i].name; i++)
    if (a->param[i] != param[i]) return false;
  return true;
}

candidate *candidates_find(const candidates *c, const algo *a, const algo_problem *p, const int *param) {
  for (size_t i = 0; i < c->count; i++) {
    candidate *one = &c->list[i];
    if (one->algo == a && costs_same_problem(&one->problem, p) && same_params(one, param)) return one;
  }
  return NULL;
}

/* Pixels are only what a network is given. */
static bool is_allowed(const plan_options *wishes, size_t k) {
  return plan_allows(wishes, k) && (algo_get(k)->in != ALGO_RGB8 || wishes->rgb8);
}

static double cost_of(const clvgg_device_info *dev, const candidate *c) {
  return algo_cost(c->algo, dev, &c->problem, c->param);
}

/* Every algorithm of the problem with its chosen parameters. On a CPU, whose models were fitted, one without a model has no chance
 * against one that has; on other devices models are estimates. */
static clvgg_status add_chosen(const clvgg_device_info *dev, const algo_problem *p, const plan_options *wishes,
                               bool exhaustive, candidates *out) {
  bool modelled = false;
  const double flops = (double)p->batch * (double)(layer_flops(&p->shape) + shape3_elements(p->shape.in));
  for (int with_model = 1; with_model >= 0; with_model--) {
    if (!with_model && modelled && flops > TINY_FLOPS && !exhaustive && dev->type == CLVGG_DEVICE_CPU) break;
    for (size_t k = 0; k < algo_count(); k++) {
      candidate one = {.algo = algo_get(k), .problem = *p, .chosen = true};
      char why[ALGO_WHY_BYTES];
      if (one.algo->op != p->shape.op || !is_allowed(wishes, k)) continue;
      if (one.algo->choose) one.algo->choose(dev, p, one.param);
      if (!algo_supports(one.algo, dev, p, one.param, why)) continue;
      one.cost = cost_of(dev, &one);
      if (isfinite(one.cost) != (with_model != 0)) continue;
      modelled = modelled || with_model;
      TRY(add(out, &one));
    }
  }
  return CLVGG_OK;
}

/* The next combination of legal values after the index (one a parameter); false after the last. */
static bool next_combination(const algo *a, size_t *index) {
  for (size_t i = 0; a->params[i].name; i++) {
    const size_t legal = sizeof a->params[i].legal / sizeof *a->params[i].legal;
    if (++index[i] < legal && a->params[i].legal[index[i]]) return true;
    index[i] = 0;
  }
  return false;
}

/* The other parameter sets of chosen's algorithm that cost at most limit. */
static clvgg_status add_neighbours(const clvgg_device_info *dev, candidate chosen, double limit, candidates *out) {
  const algo *a = chosen.algo;
  size_t index[ALGO_MAX_PARAMS] = {0};
  if (!a->params) return CLVGG_OK;
  do {
    candidate one = {.algo = a, .problem = chosen.problem};
    char why[ALGO_WHY_BYTES];
    for (size_t i = 0; a->params[i].name; i++) one.param[i] = a->params[i].legal[index[i]];
    if (same_params(&chosen, one.param) || !algo_supports(a, dev, &one.problem, one.param, why)) continue;
    one.cost = cost_of(dev, &one);
    if (one.cost <= limit) TRY(add(out, &one));
  } while (next_combination(a, index));
  return CLVGG_OK;
}

static int compare(const void *left, const void *right) {
  const candidate *a = left, *b = right;
  if (a->chosen != b->chosen) return a->chosen ? -1 : 1;
  if (a->cost != b->cost) return a->cost < b->cost ? -1 : 1;
  return (a->rank > b->rank) - (a->rank < b->rank);
}

static clvgg_status add_problem(const clvgg_device_info *dev, const algo_problem *p, const plan_options *wishes,
                                bool exhaustive, candidates *out) {
  for (size_t i = 0; i < out->count; i++)
    if (costs_same_problem(&out->list[i].problem, p)) return CLVGG_OK;
  const size_t first = out->count;
  TRY(add_chosen(dev, p, wishes, exhaustive, out));
  const size_t chosen = out->count - first;
  double best = INFINITY;
  for (size_t i = first; i < out->count; i++) best = fmin(best, out->list[i].cost);
  /* Without a model the search goes on from what proved best (candidates_add_around). */
  const bool modelled = !isinf(best);
  for (size_t i = 0; i < chosen; i++) {
    const candidate one = out->list[first + i];
    if (modelled ? !isfinite(one.cost) : !exhaustive) continue;
    TRY(add_neighbours(dev, one, exhaustive ? INFINITY : NEIGHBOUR_FACTOR * best, out));
  }
  size_t count = out->count - first;
  if (count == 0) return CLVGG_OK;
  for (size_t i = 0; i < count; i++) out->list[first + i].rank = i; /* equal ones stay in the registry's order */
  qsort(out->list + first, count, sizeof *out->list, compare);
  if (!exhaustive && count > chosen + MOST_NEIGHBOURS) count = chosen + MOST_NEIGHBOURS;
  out->count = first + count;
  for (size_t i = 0; i < count; i++) out->list[first + i].rank = i + 1;
  if (count > out->most) out->most = count;
  return CLVGG_OK;
}

static clvgg_status add_problems(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                                 const plan_options *wishes, bool exhaustive, candidates *out) {
  algo_problem p = {.batch = batch, .block = algo_block(dev)};
  for (size_t i = 0; i < count; i++) {
    p.shape = layers[i].shape;
    TRY(add_problem(dev, &p, wishes, exhaustive, out));
    if (plan_pooled_shape(layers, count, i, &p.shape)) TRY(add_problem(dev, &p, wishes, exhaustive, out));
    const shape3 in = layers[i].shape.in, last = layers[i].shape.out;
    p.shape = (layer_shape){.op = LAYER_CONVERT, .in = in, .out = in};
    TRY(add_problem(dev, &p, wishes, exhaustive, out));
    p.shape.in = p.shape.out = last;
    if (i + 1 == count) TRY(add_problem(dev, &p, wishes, exhaustive, out));
  }
  return CLVGG_OK;
}

clvgg_status candidates_make(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                             const plan_options *wishes, bool exhaustive, candidates *out) {
  *out = (candidates){0};
  const clvgg_status status = add_problems(dev, layers, count, batch, wishes, exhaustive, out);
  if (status) candidates_free(out);
  return status;
}

/* The number of legal values of a parameter. */
static size_t legal_count(const algo_param *param) {
  size_t n = 0;
  while (n < sizeof param->legal / sizeof *param->legal && param->legal[n]) n++;
  return n;
}

/* Of a problem's candidates; 0 when it has none. */
static size_t last_rank(const candidates *c, const algo_problem *p) {
  size_t rank = 0;
  for (size_t i = 0; i < c->count; i++)
    if (c->list[i].rank > rank && costs_same_problem(&c->list[i].problem, p)) rank = c->list[i].rank;
  return rank;
}

candidate *candidates_take(candidates *c, const clvgg_device_info *dev, const plan_options *wishes, const algo *a,
                           const algo_problem *p, const int *param) {
  candidate *known = candidates_find(c, a, p, param);
  const size_t rank = last_rank(c, p);
  if (known || rank == 0) return known;
  candidate one = {.algo = a, .problem = *p, .rank = rank + 1};
  char why[ALGO_WHY_BYTES];
  memcpy(one.param, param, sizeof one.param);
  if (!is_allowed(wishes, algo_index(a)) || !algo_supports(a, dev, p, one.param, why)) return NULL;
  one.cost = cost_of(dev, &one);
  if (add(c, &one)) return NULL;
  if (one.rank > c->most) c->most = one.rank;
  return &c->list[c->count - 1];
}

clvgg_status candidates_add_around(candidates *c, const clvgg_device_info *dev, size_t index) {
  const candidate centre = c->list[index];
  size_t rank = last_rank(c, &centre.problem);
  for (size_t i = 0; centre.algo->params && centre.algo->params[i].name; i++) {
    const algo_param *param = &centre.algo->params[i];
    size_t at = 0;
    while (at < legal_count(param) && param->legal[at] != centre.param[i]) at++;
    for (size_t to = 0; to < legal_count(param); to++) {
      if (to == at || (!param->unordered && to != at + 1 && to + 1 != at)) continue;
      candidate one = {.algo = centre.algo, .problem = centre.problem};
      char why[ALGO_WHY_BYTES];
      memcpy(one.param, centre.param, sizeof one.param);
      one.param[i] = param->legal[to];
      if (candidates_find(c, one.algo, &one.problem, one.param) ||
          !algo_supports(one.algo, dev, &one.problem, one.param, why))
        continue;
      one.cost = cost_of(dev, &one);
      one.rank = ++rank;
      TRY(add(c, &one));
      if (rank > c->most) c->most = rank;
    }
  }
  return CLVGG_OK;
}

void candidates_free(candidates *c) {
  free(c->list);
  *c = (candidates){0};
}
