/*
 * The shortest path through a network. Nodes are (layers done, layout of the activations); edges are algorithms, which do one
 * layer, or a convolution with its pooling, or change the layout; an edge is as long as its algorithm's cost. Where memory is
 * limited, nodes are (layers done, layout, units of memory spent) and an edge spends what its weights take beyond the layer's own.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "plan/internal.h"

/*
 * Algorithms that have no model of their cost are tried in this order, which depends on the kind of device: a CPU has no local
 * memory of its own, so copying tiles into it is pure cost there and register blocking wins; a GPU lives on tiles in local
 * memory. What is not listed comes after.
 */
static const char *const cpu_order[] = {"conv_f32_nchw_direct", "conv_f32_nchw_im2col_clblast", "conv_f32_nchw_tiled",
                                        "fc_f32_tiled", NULL};
static const char *const gpu_order[] = {"conv_f32_nchw_tiled", "conv_f32_nchw_direct", "conv_f32_nchw_im2col_clblast",
                                        "fc_f32_tiled", NULL};

/* A software rasteriser (Mesa's llvmpipe) is called a CPU but runs a group's work-items as the lanes of its vectors: one output a
 * work-item suits it best, and no model of a CPU's costs applies. */
static const char *const rasteriser_order[] = {"conv_f32_nchw_naive", "fc_f32_naive", "conv_f32_nchw_tiled",
                                               "fc_f32_tiled", NULL};

static bool is_rasteriser(const clvgg_device_info *dev) {
  return dev->software_rasteriser != 0;
}

/* An algorithm without a model counts as at least this many times slower than the peak, so that any model beats it. */
#define UNKNOWN_SLOWDOWN 1e3
/* Asked for: shorter than any other way. */
#define WANTED_FACTOR 1e-9
/* Operations that a byte is worth under CLVGG_MEMORY_SMALL: a byte of weights serves each pixel of the batch once, and 32-bit indices
 * keep those below 2^31, so that no algorithm saves as much time by a byte. */
#define PENALTY_A_BYTE 1e10
/* A node counts memory in units of so many bytes. */
#define UNIT_BYTES 5e5

/* The best known way to a node, and its last edge. */
typedef struct node {
  double distance;
  size_t from; /* index of the node before */
  plan_step step;
} node;

typedef struct search {
  const clvgg_device_info *dev;
  const layer *layers;
  size_t count, batch, block;
  const plan_options *options;
  size_t budgets; /* 1 + units of memory that may be spent; 1: no limit, and none is counted */
  node *nodes;    /* (count + 1, ALGO_LAYOUTS, budgets) */
} search;

/* The first of (done, layout)'s nodes, nothing spent. */
static size_t node_index(const search *s, size_t done, algo_layout layout) {
  return (done * ALGO_LAYOUTS + (size_t)layout) * s->budgets;
}

static bool reached(const search *s, size_t done, algo_layout layout) {
  const size_t first = node_index(s, done, layout);
  for (size_t i = 0; i < s->budgets; i++)
    if (!isinf(s->nodes[first + i].distance)) return true;
  return false;
}

static double unknown_cost(const search *s, const algo *a, const algo_problem *p) {
  const bool cpu = s->dev->type == CLVGG_DEVICE_CPU;
  const char *const *order = is_rasteriser(s->dev) ? rasteriser_order : cpu ? cpu_order : gpu_order;
  double rank = 1;
  while (*order && strcmp(*order, a->name) != 0) order++, rank++;
  const double work = (double)p->batch * (double)(layer_flops(&p->shape) + shape3_elements(p->shape.in));
  return UNKNOWN_SLOWDOWN * rank * work;
}

double path_more_bytes(const plan_step *step) {
  if (!step->algo->work) return 0;
  double flops, bytes;
  step->algo->work(&step->problem, step->param, &flops, &bytes);
  return bytes - (double)sizeof(float) * (double)layer_weight_count(&step->problem.shape);
}

/* What CLVGG_MEMORY_SMALL adds to a step's length: any byte of weights more than plain ones have outweighs any time. Plain ones may
 * be filled up to whole vectors and groups of up to four of them. */
static double memory_penalty(const plan_step *step) {
  if (!step->algo->work) return 0;
  const size_t block = step->problem.block;
  layer_shape padded = step->problem.shape;
  padded.in.c = size_round_up(padded.in.c, block);
  double flops, bytes;
  step->algo->work(&step->problem, step->param, &flops, &bytes);
  padded.out.c = size_round_up(padded.out.c, 4 * block);
  const double plain = (double)sizeof(float) * (double)layer_weight_count(&padded);
  return bytes > plain ? PENALTY_A_BYTE * (bytes - plain) : 0;
}

/* Where a step's cost comes from, when nobody measured it. */
static const char *unmeasured_source(const search *s, bool modelled) {
  if (modelled) return "model";
  if (is_rasteriser(s->dev)) return "rule: software rasteriser";
  return s->dev->type == CLVGG_DEVICE_CPU ? "rule: CPU" : "rule: GPU";
}

/* Units of memory that a step spends; none where they are not counted. */
static size_t units_spent(const search *s, const plan_step *step) {
  return s->budgets > 1 ? (size_t)ceil(fmax(0, path_more_bytes(step)) / UNIT_BYTES) : 0;
}

/* Considers a step with its parameters and the time that was measured, or NULL. The reason why not, if any, goes to why. */
static void relax_step(search *s, plan_step step, const plan_cost *measured, char *why) {
  const algo *a = step.algo;
  if (!algo_supports(a, s->dev, &step.problem, step.param, why)) return;
  const double model = algo_cost(a, s->dev, &step.problem, step.param);
  const bool modelled = isfinite(model);
  if (measured)
    step.cost = measured->seconds * s->options->measured->flops_per_s;
  else
    step.cost = modelled ? model : unknown_cost(s, a, &step.problem);
  snprintf(step.source, sizeof step.source, "%s", measured ? measured->source : unmeasured_source(s, modelled));
  double length = step.cost;
  size_t spent = 0;
  if (plan_lists(s->options->wanted, a->name)) {
    length *= WANTED_FACTOR;
    snprintf(step.source, sizeof step.source, "asked for");
  } else {
    if (s->options->memory == CLVGG_MEMORY_SMALL) length += memory_penalty(&step);
    spent = units_spent(s, &step);
  }
  const size_t from = node_index(s, step.layer, a->in), to = node_index(s, step.layer + step.layers, a->out);
  for (size_t before = 0; before + spent < s->budgets; before++) {
    node *end = &s->nodes[to + before + spent];
    const double distance = s->nodes[from + before].distance + length;
    if (distance < end->distance) *end = (node){.distance = distance, .from = from + before, .step = step};
  }
}

/* Considers doing layers layers (0: none, only the layout changes) from node (first, a->in) on with a: with each parameter set
 * that was measured, else with the one that rules pick. The reason why not, if any, goes to why. */
static void relax(search *s, const algo *a, size_t first, size_t layers, const layer_shape *shape, char *why) {
  if (!reached(s, first, a->in)) return;
  plan_step step = {
      .algo = a, .problem = {.shape = *shape, .batch = s->batch, .block = s->block}, .layer = first, .layers = layers};
  const plan_costs *costs = s->options->measured;
  const plan_cost *measured = costs ? costs_next(costs, a, &step.problem, NULL) : NULL;
  if (!measured) {
    if (a->choose) a->choose(s->dev, &step.problem, step.param);
    relax_step(s, step, NULL, why);
  }
  for (; measured; measured = costs_next(costs, a, &step.problem, measured)) {
    memcpy(step.param, measured->param, sizeof step.param);
    relax_step(s, step, measured, why);
  }
}

/* All ways between the layouts at a node. A way that comes back to one is never shorter, so as many passes as a way can have
 * steps are enough. */
static void relax_conversions(search *s, size_t done, shape3 shape) {
  const layer_shape same = {.op = LAYER_CONVERT, .in = shape, .out = shape};
  char why[ALGO_WHY_BYTES];
  for (size_t pass = 1; pass < ALGO_LAYOUTS; pass++)
    for (size_t k = 0; k < algo_count(); k++)
      if (algo_get(k)->op == LAYER_CONVERT && plan_allows(s->options, k)) relax(s, algo_get(k), done, 0, &same, why);
}

static size_t start_node(const search *s) {
  return node_index(s, 0, s->options->rgb8 ? ALGO_RGB8 : ALGO_NCHW);
}

static bool reached_any(const search *s, size_t done) {
  for (size_t l = 0; l < ALGO_LAYOUTS; l++)
    if (reached(s, done, (algo_layout)l)) return true;
  return false;
}

static clvgg_status find_path(search *s) {
  for (size_t i = 0; i < (s->count + 1) * ALGO_LAYOUTS * s->budgets; i++) s->nodes[i].distance = INFINITY;
  s->nodes[start_node(s)].distance = 0;
  for (size_t i = 0; i < s->count; i++) {
    const layer_shape *shape = &s->layers[i].shape;
    relax_conversions(s, i, shape->in);
    layer_shape pooled;
    const bool pool_follows = plan_pooled_shape(s->layers, s->count, i, &pooled);
    char whys[1024] = "";
    for (size_t k = 0; k < algo_count(); k++) {
      const algo *a = algo_get(k);
      if (a->op != shape->op || !plan_allows(s->options, k)) continue;
      char why[ALGO_WHY_BYTES] = "";
      relax(s, a, i, 1, shape, why);
      const size_t used = strlen(whys);
      if (why[0]) snprintf(whys + used, sizeof whys - used, "%s%s: %s", used ? "; " : "", a->name, why);
      if (a->pools && pool_follows) relax(s, a, i, 2, &pooled, why);
    }
    char text[128];
    /* A pooling may have been passed over: it is reached when its convolution was. */
    if (!reached_any(s, i + 1))
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s (%s) cannot run on %s: %s", s->layers[i].name,
                       layer_shape_text(shape, text, sizeof text), s->dev->name, whys[0] ? whys : "no algorithm");
  }
  relax_conversions(s, s->count, s->layers[s->count - 1].shape.out);
  return CLVGG_OK;
}

/* Walks back from the goal and writes the steps in their order. */
static clvgg_status collect(const search *s, plan *p) {
  *p = (plan){.batch = s->batch};
  const size_t start = start_node(s), first = node_index(s, s->count, ALGO_NCHW);
  size_t goal = first;
  for (size_t i = 1; i < s->budgets; i++)
    if (s->nodes[first + i].distance < s->nodes[goal].distance) goal = first + i;
  for (size_t at = goal; at != start; at = s->nodes[at].from) p->count++;
  p->steps = calloc(p->count, sizeof *p->steps);
  if (!p->steps) return base_fail(CLVGG_ERROR_MEMORY, "no memory for a plan of %zu steps", p->count);
  size_t i = p->count;
  for (size_t at = goal; at != start; at = s->nodes[at].from) p->steps[--i] = s->nodes[at].step;
  return CLVGG_OK;
}

clvgg_status path_shortest(const clvgg_device_info *dev, const layer *layers, size_t count, size_t batch,
                           const plan_options *options, double most_bytes, plan *out) {
  search s = {.dev = dev,
              .layers = layers,
              .count = count,
              .batch = batch,
              .block = algo_block(dev),
              .options = options,
              .budgets = 1 + (isinf(most_bytes) ? 0 : (size_t)(most_bytes / UNIT_BYTES))};
  s.nodes = calloc((count + 1) * ALGO_LAYOUTS * s.budgets, sizeof *s.nodes);
  if (!s.nodes) return base_fail(CLVGG_ERROR_MEMORY, "no memory to plan %zu layers", count);
  clvgg_status status = find_path(&s);
  if (!status) status = collect(&s, out);
  free(s.nodes);
  return status;
}
