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
  float *got; /* as large as the largest output plus its guard */
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

/* Runs one prepared algorithm between poisoned buffers; leaves output and guard in v->got. */
static clvgg_status run_guarded(verifier *v, algo_instance *inst, const float *in, size_t in_bytes, size_t out_bytes) {
  device_buffer input = {0}, output = {0}, workspace = {0};
  const size_t work_bytes = algo_workspace_bytes(inst->algo, device_info(v->dev), &inst->problem, inst->param);
  clvgg_status status = device_buffer_create(v->dev, in_bytes + GUARD_BYTES, &input);
  if (!status) status = device_buffer_create(v->dev, out_bytes + GUARD_BYTES, &output);
  if (!status && work_bytes) status = device_buffer_create(v->dev, work_bytes, &workspace);
  if (!status && work_bytes) status = device_fill(v->dev, &workspace, POISON, 0, work_bytes);
  if (!status) status = device_fill(v->dev, &input, POISON, in_bytes, GUARD_BYTES);
  if (!status) status = device_fill(v->dev, &output, POISON, 0, out_bytes + GUARD_BYTES);
  if (!status) status = device_write(v->dev, &input, 0, in, in_bytes);
  if (!status) status = algo_enqueue(inst, v->batch, &input, &output, &workspace);
  if (!status) status = device_read(v->dev, &output, 0, v->got, out_bytes + GUARD_BYTES);
  device_finish(v->dev);
  device_buffer_release(v->dev, &workspace);
  device_buffer_release(v->dev, &output);
  device_buffer_release(v->dev, &input);
  return status;
}

static bool guard_intact(const verifier *v, size_t out_elements) {
  for (size_t i = 0; i < GUARD_BYTES / sizeof(float); i++) {
    uint32_t bits;
    memcpy(&bits, &v->got[out_elements + i], sizeof bits);
    if (bits != POISON) return false;
  }
  return true;
}

/* One algorithm on one layer. A device's failure is a case that is not ok: the others go on. */
static void check_algo(verifier *v, const algo *a, const layer *l, const float *in, const float *want) {
  clvgg_verify_case result = {.tolerance = reference_tolerance(&l->shape)};
  snprintf(result.layer, sizeof result.layer, "%s", l->name);
  snprintf(result.algorithm, sizeof result.algorithm, "%s", a->name);
  const algo_problem problem = {.shape = l->shape, .batch = v->batch};
  int param[ALGO_MAX_PARAMS] = {0};
  char why[ALGO_WHY_BYTES] = "";
  if (a->choose) a->choose(device_info(v->dev), &problem, param);
  if (!algo_supports(a, device_info(v->dev), &problem, param, why)) {
    snprintf(result.reason, sizeof result.reason, "%s", why);
    report(v, &result);
    return;
  }
  const size_t in_elements = v->batch * shape3_elements(l->shape.in);
  const size_t out_elements = v->batch * shape3_elements(l->shape.out);
  algo_instance inst = {0};
  clvgg_status status = algo_open(a, v->dev, &problem, param, l, &inst);
  if (!status) status = run_guarded(v, &inst, in, in_elements * sizeof(float), out_elements * sizeof(float));
  algo_close(&inst);
  if (status == CLVGG_ERROR_TOO_LARGE || status == CLVGG_ERROR_UNSUPPORTED) {
    snprintf(result.reason, sizeof result.reason, "%s", clvgg_last_error());
  } else if (status) {
    result.ran = 1;
    result.max_abs = result.rel_l2 = INFINITY;
    snprintf(result.reason, sizeof result.reason, "%s", clvgg_last_error());
  } else {
    judge(v, want, out_elements, &result);
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

/* Walks the chain: each layer's input is the reference's output of the layer before. */
static clvgg_status check_layers(verifier *v, const layer *layers, size_t count, float *a, float *b, float **logits) {
  float *in = a, *out = b;
  for (size_t i = 0; i < count && !v->stopped; i++) {
    TRY(reference_layer(&layers[i], v->batch, in, out));
    for (size_t k = 0; k < algo_count() && !v->stopped; k++)
      if (algo_get(k)->op == layers[i].shape.op) check_algo(v, algo_get(k), &layers[i], in, out);
    float *swap = in;
    in = out;
    out = swap;
  }
  *logits = in;
  return CLVGG_OK;
}

static clvgg_status largest_activation(const layer *layers, size_t count, size_t batch, size_t *elements) {
  *elements = 0;
  for (size_t i = 0; i < count; i++) {
    const shape3 shapes[] = {layers[i].shape.in, layers[i].shape.out};
    for (int k = 0; k < 2; k++) {
      const size_t factors[] = {batch, shapes[k].c, shapes[k].h, shapes[k].w, sizeof(float)};
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
  if (!status) status = largest_activation(layers, count, batch, &elements);
  if (!status) {
    const size_t image_elements = batch * shape3_elements(net->input);
    a = malloc(elements * sizeof *a);
    b = malloc(elements * sizeof *b);
    v.got = malloc(elements * sizeof *v.got + GUARD_BYTES);
    images = malloc(image_elements * sizeof *images);
    if (!a || !b || !v.got || !images)
      status = base_fail(CLVGG_ERROR_MEMORY, "no memory for activations of %zu images", batch);
    if (!status) {
      random_fill(1, -2, 2, images, image_elements);
      memcpy(a, images, image_elements * sizeof *a);
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
  free(b);
  free(a);
  free(layers);
  return status;
}
