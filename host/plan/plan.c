/* A plan: wishes checked, the shortest path within the memory that weights may take, copies. */
#include "plan/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* CLVGG_MEMORY_BALANCED: what a plan's weights may take beyond the layers' own, and how much longer than the fastest plan it may
 * take for that. */
#define BALANCED_BYTES 60e6
#define BALANCED_COST  1.05

bool plan_lists(const char *list, const char *name) {
  const size_t length = strlen(name);
  for (const char *at = list; at && *at;) {
    at += strspn(at, ", ");
    const size_t next = strcspn(at, ", ");
    if (next == length && strncmp(at, name, length) == 0) return true;
    at += next;
  }
  return false;
}

static clvgg_status check_wanted(const char *wanted) {
  for (const char *at = wanted; at && *at;) {
    at += strspn(at, ", ");
    const size_t length = strcspn(at, ", ");
    char name[64], known[2048] = "";
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), at);
    at += length;
    if (length == 0 || algo_find(name)) continue;
    for (size_t i = 0; i < algo_count(); i++)
      snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", algo_get(i)->name);
    return base_fail(CLVGG_ERROR_ARGUMENT, "there is no algorithm '%s'; there are %s", name, known);
  }
  return CLVGG_OK;
}

bool plan_same_step(const plan_step *a, const plan_step *b) {
  return a->algo == b->algo && a->layer == b->layer && a->layers == b->layers &&
         costs_same_problem(&a->problem, &b->problem) && memcmp(a->param, b->param, sizeof a->param) == 0;
}

bool plan_same(const plan *a, const plan *b) {
  for (size_t i = 0; i < a->count && a->count == b->count; i++)
    if (!plan_same_step(&a->steps[i], &b->steps[i])) return false;
  return a->count == b->count;
}

bool plan_allows(const plan_options *options, size_t k) {
  const algo *a = algo_get(k);
  if (options->excluded && options->excluded[k]) return false;
  return a->form <= options->form || plan_lists(options->wanted, a->name);
}

bool plan_pooled_shape(const layer *layers, size_t count, size_t i, layer_shape *out) {
  *out = layers[i].shape;
  if (out->op != LAYER_CONV || i + 1 >= count || layers[i + 1].shape.op != LAYER_MAXPOOL) return false;
  out->pool = true;
  out->out = layers[i + 1].shape.out;
  return true;
}

clvgg_status plan_check_sizes(const layer *layers, size_t count, size_t batch, size_t block) {
  for (size_t i = 0; i < count; i++) {
    const shape3 shapes[] = {layers[i].shape.in, layers[i].shape.out};
    for (int k = 0; k < 2; k++) {
      const size_t factors[] = {batch, shapes[k].c + block, shapes[k].h, shapes[k].w, sizeof(float)};
      size_t bytes;
      if (!size_product(factors, 5, &bytes))
        return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: the activations of %zu images do not fit any memory",
                         layers[i].name, batch);
    }
  }
  return CLVGG_OK;
}

static void sum_up(const plan *p, double *cost, double *more) {
  *cost = *more = 0;
  for (size_t i = 0; i < p->count; i++) {
    *cost += p->steps[i].cost;
    *more += path_more_bytes(&p->steps[i]);
  }
}

/* Puts the fastest plan within the limit in the place of p, the fastest of all, if there is one that is fast enough. */
static clvgg_status balance(const clvgg_device_info *dev, const layer *layers, size_t count,
                            const plan_options *options, plan *p) {
  plan other;
  double fastest, cost, more;
  sum_up(p, &fastest, &more);
  if (more <= BALANCED_BYTES) return CLVGG_OK;
  const clvgg_status status = path_shortest(dev, layers, count, p->batch, options, BALANCED_BYTES, &other);
  if (status == CLVGG_ERROR_UNSUPPORTED) return CLVGG_OK; /* within the limit */
  TRY(status);
  sum_up(&other, &cost, &more);
  const bool fast = cost <= BALANCED_COST * fastest;
  plan slower = fast ? *p : other;
  if (fast) *p = other;
  plan_free(&slower);
  return CLVGG_OK;
}

clvgg_status plan_make(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                       const plan_options *options, plan *out) {
  *out = (plan){0};
  TRY(check_wanted(options->wanted));
  TRY(plan_check_sizes(layers, count, batch, algo_block(dev)));
  clvgg_status status = path_shortest(dev, layers, count, batch, options, INFINITY, out);
  if (!status && options->memory == CLVGG_MEMORY_BALANCED) status = balance(dev, layers, count, options, out);
  if (status)
    plan_free(out);
  else
    plan_finish(dev, layers, count, out);
  return status;
}

void plan_free(plan *p) {
  free(p->steps);
  *p = (plan){0};
}

clvgg_status plan_copy(const plan *p, plan *out) {
  *out = *p;
  out->steps = calloc(p->count ? p->count : 1, sizeof *out->steps);
  if (!out->steps) {
    *out = (plan){0};
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for a plan of %zu steps", p->count);
  }
  memcpy(out->steps, p->steps, p->count * sizeof *p->steps);
  return CLVGG_OK;
}
