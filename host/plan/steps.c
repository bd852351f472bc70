/* Finishes plans, and writes and reads them as text. */
#include "plan/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/text.h"
#include "plan/internal.h"

static void name_step(const layer *layers, size_t count, plan_step *step) {
  const char *first = layers[step->layer < count ? step->layer : count - 1].name;
  if (step->layers == 0)
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): every step has its algorithm
    snprintf(step->name, sizeof step->name, "to %s", algo_layout_name(step->algo->out, step->problem.block));
  else if (step->layers == 1)
    snprintf(step->name, sizeof step->name, "%s", first);
  else
    snprintf(step->name, sizeof step->name, "%s+%s", first, layers[step->layer + 1].name);
}

static size_t max_size(size_t a, size_t b) {
  return a > b ? a : b;
}

void plan_finish(const clvgg_device_info *dev, const layer *layers, size_t count, plan *p) {
  for (size_t i = 0; i < p->count; i++) {
    plan_step *step = &p->steps[i];
    const algo_problem *problem = &step->problem;
    name_step(layers, count, step);
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): every step has its algorithm
    const size_t in = algo_bytes(step->algo->in, problem->shape.in, problem->batch, problem->block);
    const size_t out = algo_bytes(step->algo->out, problem->shape.out, problem->batch, problem->block);
    p->activation_bytes[i % 2] = max_size(p->activation_bytes[i % 2], in);
    p->activation_bytes[(i + 1) % 2] = max_size(p->activation_bytes[(i + 1) % 2], out);
    p->workspace_bytes = max_size(p->workspace_bytes, algo_workspace_bytes(step->algo, dev, problem, step->param));
  }
}

/* ---- text */

bool plan_steps_text(const plan *p, char *out, size_t bytes) {
  size_t used = 0;
  if (bytes > 0) out[0] = '\0';
  for (size_t i = 0; i < p->count && used < bytes; i++) {
    const plan_step *step = &p->steps[i];
    char params[ALGO_PARAMS_BYTES], layers[24] = "";
    algo_params_text(step->algo, step->param, params, sizeof params);
    if (step->layers) snprintf(layers, sizeof layers, " %zu", step->layers);
    used += (size_t)snprintf(out + used, bytes - used, "%s%s%s%s%s%s", i ? "; " : "", step->algo->name,
                             params[0] ? " [" : "", params, params[0] ? "]" : "", layers);
  }
  return used < bytes;
}

/* One step of the text, up to its semicolon or end: algorithm, parameters, and number of layers. */
static bool parse_step(char *text, plan_step *step) {
  const size_t name = strcspn(text, " ");
  char *rest = text + name;
  const char *params = "";
  if (strncmp(rest, " [", 2) == 0) {
    char *end = strchr(rest, ']');
    if (!end || end == rest + 2) return false;
    *end = '\0';
    params = rest + 2;
    rest = end + 1;
  }
  if (*rest) {
    if (rest[0] != ' ' || (rest[1] != '1' && rest[1] != '2') || rest[2]) return false;
    step->layers = (size_t)(rest[1] - '0');
  }
  text[name] = '\0';
  step->algo = algo_find(text);
  return step->algo && algo_params_parse(step->algo, params, step->param) &&
         (step->algo->op == LAYER_CONVERT) == (step->layers == 0);
}

/* What there is of a plan while it is read. */
typedef struct reading {
  const clvgg_device_info *dev;
  const layer *layers;
  size_t count, done; /* layers */
  const plan_options *options;
  algo_layout at;
} reading;

/* The shape that the step computes. False when it computes something else. */
static bool find_shape(const reading *r, const plan_step *step, layer_shape *out) {
  if (step->layers == 0) {
    const shape3 same = r->done < r->count ? r->layers[r->done].shape.in : r->layers[r->count - 1].shape.out;
    *out = (layer_shape){.op = LAYER_CONVERT, .in = same, .out = same};
    return true;
  }
  if (r->done + step->layers > r->count) return false;
  *out = r->layers[r->done].shape;
  return out->op == step->algo->op && (step->layers == 1 || plan_pooled_shape(r->layers, r->count, r->done, out));
}

/* Adds the step where it fits behind those before it. */
static clvgg_status add_step(reading *r, plan_step step, plan *p) {
  char why[ALGO_WHY_BYTES];
  if (step.algo->in != r->at || !find_shape(r, &step, &step.problem.shape))
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "step %zu of the plan, %s, does not fit the network", p->count + 1,
                     step.algo->name);
  step.layer = r->done;
  if (!plan_allows(r->options, algo_index(step.algo)))
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "step %zu of the plan, %s, is not allowed", p->count + 1,
                     step.algo->name);
  if (!algo_supports(step.algo, r->dev, &step.problem, step.param, why))
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "step %zu of the plan, %s: %s", p->count + 1, step.algo->name, why);
  p->steps[p->count++] = step;
  r->done += step.layers;
  r->at = step.algo->out;
  return CLVGG_OK;
}

static clvgg_status read_steps(reading *r, char *text, const char *source, plan *p) {
  const size_t block = algo_block(r->dev);
  for (char *next = text; next;) {
    char *at = next, *end = strstr(at, "; ");
    next = end ? end + 2 : NULL;
    if (end) *end = '\0';
    plan_step step = {.problem = {.batch = p->batch, .block = block}};
    if (!parse_step(at, &step)) return base_fail(CLVGG_ERROR_FORMAT, "'%.80s' is no step of a plan", at);
    snprintf(step.source, sizeof step.source, "%s", source);
    TRY(add_step(r, step, p));
  }
  if (r->done == r->count && r->at == ALGO_NCHW) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_UNSUPPORTED, "the plan ends after %zu of %zu layers, or in the layout %s", r->done,
                   r->count, algo_layout_name(r->at, block));
}

clvgg_status plan_from_steps(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                             const plan_options *options, const char *text, const char *source, plan *out) {
  *out = (plan){.batch = batch};
  TRY(plan_check_sizes(layers, count, batch, algo_block(dev)));
  reading r = {
      .dev = dev, .layers = layers, .count = count, .options = options, .at = options->rgb8 ? ALGO_RGB8 : ALGO_NCHW};
  size_t most = 1;
  for (const char *at = text; *at; at++) most += *at == ';';
  char *copy = strdup(text);
  out->steps = calloc(most, sizeof *out->steps);
  clvgg_status status = copy && out->steps ? read_steps(&r, copy, source, out)
                                           : base_fail(CLVGG_ERROR_MEMORY, "no memory for a plan of %zu steps", most);
  free(copy);
  if (status)
    plan_free(out);
  else
    plan_finish(dev, layers, count, out);
  return status;
}
