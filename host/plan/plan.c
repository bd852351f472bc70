/* Chooses each layer's algorithm: what was asked for, else the first of a preference list that the device supports. */
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/*
 * What to try first, by kind of device. A CPU has no local memory of its own, so copying tiles into it is pure cost there
 * and register blocking wins; a GPU lives on tiles in local memory. What is not listed comes after, in registry order,
 * so the naive variants, which run anywhere, must be listed last.
 */
static const struct preference {
  layer_op op;
  const char *cpu[4], *gpu[4];
} preferences[] = {
    {LAYER_CONV,
     {"conv_f32_nchw_direct", "conv_f32_nchw_im2col_clblast", "conv_f32_nchw_tiled", "conv_f32_nchw_naive"},
     {"conv_f32_nchw_tiled", "conv_f32_nchw_direct", "conv_f32_nchw_im2col_clblast", "conv_f32_nchw_naive"}},
    {LAYER_FC, {"fc_f32_tiled", "fc_f32_naive"}, {"fc_f32_tiled", "fc_f32_naive"}},
    {LAYER_MAXPOOL, {"maxpool_f32_nchw_naive"}, {"maxpool_f32_nchw_naive"}},
    {LAYER_AVGPOOL, {"avgpool_f32_nchw_naive"}, {"avgpool_f32_nchw_naive"}},
    {LAYER_SOFTMAX, {"softmax_f32_naive"}, {"softmax_f32_naive"}},
};

/* Settles on a for the layer when it is supported; otherwise adds its reason to whys. */
static bool consider(const algo *a, const clvgg_device_info *dev, const algo_problem *problem, plan_step *step,
                     char *whys, size_t whys_bytes) {
  char why[ALGO_WHY_BYTES] = "";
  int param[ALGO_MAX_PARAMS] = {0};
  if (a->choose) a->choose(dev, problem, param);
  if (!algo_supports(a, dev, problem, param, why)) {
    const size_t used = strlen(whys);
    snprintf(whys + used, whys_bytes - used, "%s%s: %s", used ? "; " : "", a->name, why);
    return false;
  }
  step->algo = a;
  memcpy(step->param, param, sizeof param);
  return true;
}

/* The next name of a comma list, copied to name; NULL at its end. */
static const char *next_name(const char *list, char *name, size_t bytes) {
  list += strspn(list, ", ");
  if (!*list) return NULL;
  const size_t length = strcspn(list, ", ");
  snprintf(name, bytes, "%.*s", (int)(length < bytes ? length : bytes - 1), list);
  return list + length;
}

static clvgg_status check_wanted(const char *wanted) {
  char name[64];
  for (const char *at = wanted; at && (at = next_name(at, name, sizeof name));) {
    if (algo_find(name)) continue;
    char known[1024] = "";
    for (size_t i = 0; i < algo_count(); i++)
      snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", algo_get(i)->name);
    return base_fail(CLVGG_ERROR_ARGUMENT, "there is no algorithm '%s'; there are %s", name, known);
  }
  return CLVGG_OK;
}

static clvgg_status choose_step(const clvgg_device_info *dev, const layer *l, size_t batch, const char *wanted,
                                plan_step *step) {
  const algo_problem problem = {.shape = l->shape, .batch = batch};
  char whys[1024] = "", name[64];
  for (const char *at = wanted; at && (at = next_name(at, name, sizeof name));) {
    const algo *a = algo_find(name);
    if (a && a->op == l->shape.op && consider(a, dev, &problem, step, whys, sizeof whys)) {
      snprintf(step->source, sizeof step->source, "asked for");
      return CLVGG_OK;
    }
  }
  const bool cpu = dev->type == CLVGG_DEVICE_CPU;
  for (size_t i = 0; i < sizeof preferences / sizeof *preferences; i++) {
    if (preferences[i].op != l->shape.op) continue;
    const char *const *names = cpu ? preferences[i].cpu : preferences[i].gpu;
    for (size_t k = 0; k < 4 && names[k]; k++) {
      const algo *a = algo_find(names[k]);
      if (a && consider(a, dev, &problem, step, whys, sizeof whys)) {
        snprintf(step->source, sizeof step->source, "rule: %s%s", cpu ? "CPU" : "GPU",
                 whys[0] ? ", earlier choices unsupported" : "");
        return CLVGG_OK;
      }
    }
  }
  for (size_t i = 0; i < algo_count(); i++) {
    const algo *a = algo_get(i);
    if (a->op == l->shape.op && consider(a, dev, &problem, step, whys, sizeof whys)) {
      snprintf(step->source, sizeof step->source, "rule: first supported");
      return CLVGG_OK;
    }
  }
  char text[128];
  return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s (%s) cannot run on %s: %s", l->name,
                   layer_shape_text(&l->shape, text, sizeof text), dev->name, whys[0] ? whys : "no algorithm");
}

static size_t max_size(size_t a, size_t b) {
  return a > b ? a : b;
}

static clvgg_status plan_fill(const clvgg_device_info *dev, const layer *layers, const char *wanted, plan *p) {
  for (size_t i = 0; i < p->count; i++) {
    const layer_shape *s = &layers[i].shape;
    const size_t in[] = {p->batch, s->in.c, s->in.h, s->in.w, sizeof(float)};
    const size_t out[] = {p->batch, s->out.c, s->out.h, s->out.w, sizeof(float)};
    size_t in_bytes, out_bytes;
    if (!size_product(in, 5, &in_bytes) || !size_product(out, 5, &out_bytes))
      return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: the activations of %zu images do not fit any memory", layers[i].name,
                       p->batch);
    TRY(choose_step(dev, &layers[i], p->batch, wanted, &p->steps[i]));
    p->activation_bytes[i % 2] = max_size(p->activation_bytes[i % 2], in_bytes);
    p->activation_bytes[(i + 1) % 2] = max_size(p->activation_bytes[(i + 1) % 2], out_bytes);
    const algo_problem problem = {.shape = *s, .batch = p->batch};
    p->workspace_bytes =
        max_size(p->workspace_bytes, algo_workspace_bytes(p->steps[i].algo, dev, &problem, p->steps[i].param));
  }
  return CLVGG_OK;
}

clvgg_status plan_make(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                       const char *wanted, plan *out) {
  *out = (plan){.count = count, .batch = batch};
  TRY(check_wanted(wanted));
  out->steps = calloc(count, sizeof *out->steps);
  if (!out->steps) return base_fail(CLVGG_ERROR_MEMORY, "no memory for a plan of %zu layers", count);
  const clvgg_status status = plan_fill(dev, layers, wanted, out);
  if (status != CLVGG_OK) plan_free(out);
  return status;
}

void plan_free(plan *p) {
  free(p->steps);
  *p = (plan){0};
}
