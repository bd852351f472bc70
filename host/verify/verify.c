/* Checks every algorithm on every layer, then the whole network, against the reference. */
#include "verify/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/algo.h"
#include "base/random.h"
#include "base/size.h"
#include "engine/engine.h"
#include "reference/reference.h"

/* Every output starts as this quiet NaN, and so does a guard behind it: what a kernel leaves out stays NaN, and what it
 * writes too far is seen. */
#define POISON      UINT32_C(0x7FC0DEAD)
#define GUARD_BYTES 4096

/* The whole network may be off by this much of its largest logit: rounding of some twenty layers in f32. */
#define NETWORK_TOLERANCE 1e-4

typedef struct verifier {
  clvgg_device *dev;
  size_t batch;
  clvgg_verify_fn fn;
  void *user;
  float *raw; /* in an algorithm's layout: as large as the largest activation plus a guard */
  float *got; /* the same values as (n, C, H, W) */
  bool stopped;
} verifier;

static void report(verifier *v, const clvgg_verify_case *result) {
  if (v->fn && v->fn(result, v->user)) v->stopped = true;
}

static void judge(verifier *v, const float *want, size_t elements, clvgg_verify_case *result) {
  const reference_error error = reference_compare(v->got, want, elements);
  result->ran = 1;
  result->max_abs = error.max_abs;
  result->rel_l2 = error.rel_l2;
  result->ok = error.max_rel <= result->tolerance;
  if (!result->ok)
    snprintf(result->reason, sizeof result->reason, "off by %.3g of the largest value, %.3g allowed", error.max_rel,
             result->tolerance);
}

/* Runs one prepared algorithm between poisoned buffers; leaves output and guard in v->raw. */
static clvgg_status run_guarded(verifier *v, algo_instance *inst, const float *in, size_t out_bytes) {
  const algo_problem *p = &inst->problem;
  const size_t in_bytes = algo_elements(inst->algo->in, p->shape.in, v->batch, p->block) * sizeof(float);
  const size_t work_bytes = algo_workspace_bytes(inst->algo, device_info(v->dev), p, inst->param);
  device_buffer input = {0}, output = {0}, workspace = {0};
  algo_to_layout(inst->algo->in, p->shape.in, v->batch, p->block, in, v->raw);
  clvgg_status status = device_buffer_create(v->dev, in_bytes + GUARD_BYTES, &input);
  if (!status) status = device_buffer_create(v->dev, out_bytes + GUARD_BYTES, &output);
  if (!status && work_bytes) status = device_buffer_create(v->dev, work_bytes, &workspace);
  if (!status && work_bytes) status = device_fill(v->dev, &workspace, POISON, 0, work_bytes);
  if (!status) status = device_fill(v->dev, &input, POISON, in_bytes, GUARD_BYTES);
  if (!status) status = device_fill(v->dev, &output, POISON, 0, out_bytes + GUARD_BYTES);
  if (!status) status = device_write(v->dev, &input, 0, v->raw, in_bytes);
  if (!status) status = algo_enqueue(inst, v->batch, &input, &output, &workspace);
  if (!status) status = device_read(v->dev, &output, 0, v->raw, out_bytes + GUARD_BYTES);
  device_finish(v->dev);
  device_buffer_release(v->dev, &workspace);
  device_buffer_release(v->dev, &output);
  device_buffer_release(v->dev, &input);
  return status;
}

static bool guard_intact(const verifier *v, size_t out_elements) {
  for (size_t i = 0; i < GUARD_BYTES / sizeof(float); i++) {
    uint32_t bits;
    memcpy(&bits, &v->raw[out_elements + i], sizeof bits);
    if (bits != POISON) return false;
  }
  return true;
}

/* One algorithm on one layer, or on a convolution and its pooling. A device's failure is a case that is not ok: the others go
 * on. */
static void check_algo(verifier *v, const algo *a, const char *name, const layer *l, const float *in,
                       const float *want) {
  const layer_shape *s = &l->shape;
  clvgg_verify_case result = {.tolerance = reference_tolerance(s) * (a->error_growth > 1 ? a->error_growth : 1)};
  snprintf(result.layer, sizeof result.layer, "%s", name);
  snprintf(result.algorithm, sizeof result.algorithm, "%s", a->name);
  const algo_problem problem = {.shape = *s, .batch = v->batch, .block = algo_block(device_info(v->dev))};
  int param[ALGO_MAX_PARAMS] = {0};
  char why[ALGO_WHY_BYTES] = "";
  if (a->choose) a->choose(device_info(v->dev), &problem, param);
  if (!algo_supports(a, device_info(v->dev), &problem, param, why)) {
    snprintf(result.reason, sizeof result.reason, "%s", why);
    report(v, &result);
    return;
  }
  const size_t out_elements = algo_elements(a->out, s->out, v->batch, problem.block);
  algo_instance inst = {0};
  clvgg_status status = algo_open(a, v->dev, &problem, param, l, &inst);
  if (!status) status = run_guarded(v, &inst, in, out_elements * sizeof(float));
  algo_close(&inst);
  if (status == CLVGG_ERROR_TOO_LARGE || status == CLVGG_ERROR_UNSUPPORTED) {
    snprintf(result.reason, sizeof result.reason, "%s", clvgg_last_error());
  } else if (status) {
    result.ran = 1;
    result.max_abs = result.rel_l2 = INFINITY;
    snprintf(result.reason, sizeof result.reason, "%s", clvgg_last_error());
  } else {
    algo_from_layout(a->out, s->out, v->batch, problem.block, v->raw, v->got);
    judge(v, want, v->batch * shape3_elements(s->out), &result);
    if (!guard_intact(v, out_elements)) {
      result.ok = 0;
      snprintf(result.reason, sizeof result.reason, "wrote outside its output");
    }
  }
  report(v, &result);
}

/* The plan's own choice end to end; a model that does not fit is an error here, since nothing could run it. */
static clvgg_status check_network(verifier *v, const network *net, const float *images, const float *want) {
  clvgg_verify_case result = {.layer = "network", .algorithm = "plan", .tolerance = NETWORK_TOLERANCE};
  const clvgg_engine_options options = {.struct_size = sizeof options, .max_batch = v->batch};
  engine *e = NULL;
  TRY(engine_open(v->dev, net, &options, &e));
  const clvgg_status status = engine_run(e, images, v->batch, v->got);
  engine_close(&e);
  TRY(status);
  judge(v, want, v->batch * net->classes, &result);
  report(v, &result);
  return CLVGG_OK;
}

/* The algorithms that do a convolution and the pooling after it at once. */
static clvgg_status check_pooled(verifier *v, const layer *conv, const layer *pool, const float *in,
                                 const float *convolved) {
  char name[sizeof conv->name * 2];
  snprintf(name, sizeof name, "%s+%s", conv->name, pool->name);
  layer both = *conv;
  both.shape.pool = true;
  both.shape.out = pool->shape.out;
  float *want = malloc(v->batch * shape3_elements(both.shape.out) * sizeof *want);
  if (!want) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the output of %s", name);
  const clvgg_status status = reference_layer(pool, v->batch, convolved, want);
  for (size_t k = 0; k < algo_count() && !v->stopped && !status; k++)
    if (algo_get(k)->op == LAYER_CONV && algo_get(k)->pools) check_algo(v, algo_get(k), name, &both, in, want);
  free(want);
  return status;
}

/* Both conversions of the image's layout, which leave its values as they are. */
static void check_conversions(verifier *v, shape3 shape, const float *values) {
  const layer same = {.name = "layout", .shape = {.op = LAYER_CONVERT, .in = shape, .out = shape}};
  for (size_t k = 0; k < algo_count() && !v->stopped; k++)
    if (algo_get(k)->op == LAYER_CONVERT) check_algo(v, algo_get(k), same.name, &same, values, values);
}

/* Walks the chain: each layer's input is the reference's output of the layer before. */
static clvgg_status check_layers(verifier *v, const layer *layers, size_t count, float *a, float *b, float **logits) {
  float *in = a, *out = b;
  for (size_t i = 0; i < count && !v->stopped; i++) {
    TRY(reference_layer(&layers[i], v->batch, in, out));
    for (size_t k = 0; k < algo_count() && !v->stopped; k++)
      if (algo_get(k)->op == layers[i].shape.op) check_algo(v, algo_get(k), layers[i].name, &layers[i], in, out);
    if (layers[i].shape.op == LAYER_CONV && i + 1 < count && layers[i + 1].shape.op == LAYER_MAXPOOL)
      TRY(check_pooled(v, &layers[i], &layers[i + 1], in, out));
    float *swap = in;
    in = out;
    out = swap;
  }
  *logits = in;
  return CLVGG_OK;
}

static clvgg_status largest_activation(const layer *layers, size_t count, size_t batch, size_t block,
                                       size_t *elements) {
  *elements = 0;
  for (size_t i = 0; i < count; i++) {
    const shape3 shapes[] = {layers[i].shape.in, layers[i].shape.out};
    for (int k = 0; k < 2; k++) {
      const size_t factors[] = {batch, shapes[k].c + block, shapes[k].h, shapes[k].w, sizeof(float)};
      size_t bytes;
      if (!size_product(factors, 5, &bytes))
        return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: %zu images do not fit any memory", layers[i].name, batch);
      if (bytes / sizeof(float) > *elements) *elements = bytes / sizeof(float);
    }
  }
  return CLVGG_OK;
}

clvgg_status verify_network(clvgg_device *dev, const network *net, size_t batch, clvgg_verify_fn fn, void *user) {
  verifier v = {.dev = dev, .batch = batch, .fn = fn, .user = user};
  layer *layers = NULL;
  size_t count = 0, elements = 0;
  float *a = NULL, *b = NULL, *images = NULL, *logits = NULL;
  clvgg_status status = network_layers(net, net->input.h, net->input.w, true, &layers, &count);
  if (!status) status = largest_activation(layers, count, batch, algo_block(device_info(dev)), &elements);
  if (!status) {
    const size_t image_elements = batch * shape3_elements(net->input);
    a = malloc(elements * sizeof *a);
    b = malloc(elements * sizeof *b);
    v.raw = malloc(elements * sizeof *v.raw + GUARD_BYTES);
    v.got = malloc(elements * sizeof *v.got);
    images = malloc(image_elements * sizeof *images);
    if (!a || !b || !v.raw || !v.got || !images)
      status = base_fail(CLVGG_ERROR_MEMORY, "no memory for activations of %zu images", batch);
    if (!status) {
      random_fill(1, -2, 2, images, image_elements);
      memcpy(a, images, image_elements * sizeof *a);
      check_conversions(&v, net->input, images);
      /* The softmax that network_layers appended is checked as a layer, but the network is compared by its logits. */
      status = check_layers(&v, layers, count - 1, a, b, &logits);
    }
    if (!status && !v.stopped) status = check_network(&v, net, images, logits);
    if (!status && !v.stopped) {
      float *spare = logits == a ? b : a;
      status = check_layers(&v, layers + count - 1, 1, logits, spare, &spare);
    }
  }
  free(images);
  free(v.got);
  free(v.raw);
  free(b);
  free(a);
  free(layers);
  return status;
}
