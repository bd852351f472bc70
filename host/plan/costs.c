/* A table of measured times: a plain list, as a network has some hundred entries at most. */
#include "plan/costs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static bool same_shape3(shape3 a, shape3 b) {
  return a.c == b.c && a.h == b.h && a.w == b.w;
}

/* Field by field: structures have padding. */
bool costs_same_problem(const algo_problem *a, const algo_problem *b) {
  const layer_shape *x = &a->shape, *y = &b->shape;
  return a->batch == b->batch && a->block == b->block && x->op == y->op && x->relu == y->relu && x->pool == y->pool &&
         same_shape3(x->in, y->in) && same_shape3(x->out, y->out);
}

static bool same_params(const algo *a, const int *x, const int *y) {
  for (size_t i = 0; a->params && a->params[i].name; i++)
    if (x[i] != y[i]) return false;
  return true;
}

static void copy_params(const algo *a, const int *from, int *to) {
  for (size_t i = 0; a->params && a->params[i].name; i++) to[i] = from[i];
}

const plan_cost *costs_next(const plan_costs *costs, const algo *a, const algo_problem *p, const plan_cost *after) {
  for (size_t i = after ? (size_t)(after - costs->entries) + 1 : 0; i < costs->count; i++)
    if (costs->entries[i].algo == a && costs_same_problem(&costs->entries[i].problem, p)) return &costs->entries[i];
  return NULL;
}

const plan_cost *costs_find(const plan_costs *costs, const algo *a, const algo_problem *p, const int *param) {
  const plan_cost *found = costs_next(costs, a, p, NULL);
  while (found && !same_params(a, found->param, param)) found = costs_next(costs, a, p, found);
  return found;
}

clvgg_status costs_add(plan_costs *costs, const algo *a, const algo_problem *p, const int *param, double seconds) {
  return costs_add_from(costs, a, p, param, seconds, "measured");
}

clvgg_status costs_add_from(plan_costs *costs, const algo *a, const algo_problem *p, const int *param, double seconds,
                            const char *source) {
  if (!isfinite(seconds) || seconds < 0)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%s: a measured time of %g s, expected a finite one of at least 0", a->name,
                     seconds);
  const plan_cost *known = costs_find(costs, a, p, param);
  if (known) {
    plan_cost *entry = &costs->entries[known - costs->entries];
    if (seconds < entry->seconds) entry->seconds = seconds, entry->source = source;
    return CLVGG_OK;
  }
  if (costs->count == costs->capacity) {
    size_t capacity = costs->capacity ? 2 * costs->capacity : 64, bytes;
    plan_cost *entries = size_mul(capacity, sizeof *entries, &bytes) ? realloc(costs->entries, bytes) : NULL;
    if (!entries) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu measured times", capacity);
    costs->entries = entries;
    costs->capacity = capacity;
  }
  plan_cost *entry = &costs->entries[costs->count++];
  *entry = (plan_cost){.algo = a, .problem = *p, .seconds = seconds, .source = source};
  copy_params(a, param, entry->param);
  return CLVGG_OK;
}

bool costs_remove(plan_costs *costs, const algo *a, const algo_problem *p, const int *param) {
  const plan_cost *found = costs_find(costs, a, p, param);
  if (!found) return false;
  const size_t i = (size_t)(found - costs->entries);
  memmove(&costs->entries[i], &costs->entries[i + 1], (--costs->count - i) * sizeof *costs->entries);
  return true;
}

void costs_free(plan_costs *costs) {
  free(costs->entries);
  *costs = (plan_costs){0};
}
