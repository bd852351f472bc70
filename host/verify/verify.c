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
#include "gate/limits.h"
#include "reference/reference.h"
#include "trust/check.h"

/* The whole network may be off by this much of its largest logit: rounding of some twenty layers in f32. Less exact precisions may be off
 * by what engines let pass: logits whose relative error is more than that are not used. */
#define NETWORK_TOLERANCE 1e-4

typedef struct verifier {
  clvgg_device *dev;
  const clvgg_preprocess *preprocess;
  pixel_map pixels;
  bool rgb8; /* the network can take pixels, and its images here are normalised ones */
  size_t batch;
  clvgg_verify_fn fn;
  void *user;
  bool stopped;
} verifier;

static void report(verifier *v, const clvgg_verify_case *result) {
  if (v->fn && v->fn(result, v->user)) v->stopped = true;
}

/* One algorithm on one layer, or on a convolution and its pooling. A device's failure is a case that is not ok: the others go
 * on. */
static void check_one(verifier *v, const algo *a, const char *name, const layer *l, const float *in,
                      const float *want) {
  clvgg_verify_case result = {0};
  snprintf(result.layer, sizeof result.layer, "%s", name);
  const algo_problem problem = {.shape = l->shape, .batch = v->batch, .block = algo_block(device_info(v->dev))};
  int param[ALGO_MAX_PARAMS] = {0};
  if (a->choose) a->choose(device_info(v->dev), &problem, param);
  (void)check_algo(v->dev, a, &problem, param, l, in, want, &result); /* the result says it too */
  report(v, &result);
}

/* The plan's own choice end to end, from f32 or from pixels; a model that does not fit is an error here, since nothing could run
 * it. One that a precision cannot store is a case that did not run. */
static clvgg_status check_network(verifier *v, const network *net, clvgg_input input, clvgg_precision precision,
                                  const void *images, const float *want) {
  clvgg_verify_case result = {.layer = "network", .tolerance = fmax(NETWORK_TOLERANCE, limits_error(precision))};
  const clvgg_engine_options options = {.struct_size = sizeof options,
                                        .max_batch = v->batch,
                                        .input = input,
                                        .precision = precision,
                                        .preprocess = v->preprocess};
  snprintf(result.precision, sizeof result.precision, "%s", clvgg_precision_name(precision));
  snprintf(result.algorithm, sizeof result.algorithm, "%s", input == CLVGG_INPUT_RGB8 ? "plan (rgb8)" : "plan");
  engine *e = NULL;
  const clvgg_status opened = engine_open(v->dev, net, &options, &e);
  if (opened == CLVGG_ERROR_UNSUPPORTED && precision != CLVGG_PRECISION_F32) {
    snprintf(result.reason, sizeof result.reason, "%s", clvgg_last_error());
    report(v, &result);
    return CLVGG_OK;
  }
  TRY(opened);
  float *got = malloc(v->batch * net->classes * sizeof *got);
  clvgg_status status = got ? engine_run(e, images, v->batch, got)
                            : base_fail(CLVGG_ERROR_MEMORY, "no memory for the logits of %zu images", v->batch);
  engine_close(&e);
  if (!status) {
    const reference_error error = reference_compare(got, want, v->batch * net->classes);
    result.ran = 1;
    result.max_abs = error.max_abs;
    result.max_rel = error.max_rel;
    result.rel_l2 = error.rel_l2;
    result.ok = error.max_rel <= result.tolerance;
    if (!result.ok)
      snprintf(result.reason, sizeof result.reason, "off by %.3g of the largest value, %.3g allowed", error.max_rel,
               result.tolerance);
    report(v, &result);
  }
  free(got);
  return status;
}

static clvgg_status check_network_rgb8(verifier *v, const network *net, const float *images, const float *want) {
  uint8_t *rgb = malloc(v->batch * shape3_elements(net->input));
  if (!rgb) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu images", v->batch);
  pixels_from_plain(&v->pixels, v->batch, net->input.h * net->input.w, images, rgb);
  const clvgg_status status = check_network(v, net, CLVGG_INPUT_RGB8, CLVGG_PRECISION_F32, rgb, want);
  free(rgb);
  return status;
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
    if (algo_get(k)->op == LAYER_CONV && algo_get(k)->pools) check_one(v, algo_get(k), name, &both, in, want);
  free(want);
  return status;
}

/* What an input of another size may need, with windows of uneven sizes: on the first pooling's input. */
static clvgg_status check_adaptive(verifier *v, const layer *maxpool, const float *in) {
  const shape3 from = maxpool->shape.in, to = {from.c, 7, 7};
  const layer l = {.name = "adaptive", .shape = {.op = LAYER_AVGPOOL, .in = from, .out = to}};
  float *want = malloc(v->batch * shape3_elements(to) * sizeof *want);
  if (!want) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the output of adaptive pooling");
  const clvgg_status status = reference_layer(&l, v->batch, in, want);
  for (size_t k = 0; k < algo_count() && !v->stopped && !status; k++)
    if (algo_get(k)->op == LAYER_AVGPOOL) check_one(v, algo_get(k), l.name, &l, in, want);
  free(want);
  return status;
}

static bool is_first(const layer *layers, size_t i) {
  for (size_t k = 0; k < i; k++)
    if (layers[k].shape.op == layers[i].shape.op) return false;
  return true;
}

/* Pixels are what only the network itself is given. */
static bool is_for(const verifier *v, const algo *a, layer_op op, bool first) {
  return a->op == op && (a->in != ALGO_RGB8 || (first && v->rgb8));
}

/* The conversions of the image's layout, which leave its values as they are. */
static void check_conversions(verifier *v, shape3 shape, const float *values) {
  const layer same = {
      .name = "layout", .shape = {.op = LAYER_CONVERT, .in = shape, .out = shape}, .pixels = &v->pixels};
  for (size_t k = 0; k < algo_count() && !v->stopped; k++)
    if (is_for(v, algo_get(k), LAYER_CONVERT, true)) check_one(v, algo_get(k), same.name, &same, values, values);
}

/* Walks the chain: each layer's input is the reference's output of the layer before. */
static clvgg_status check_layers(verifier *v, layer *layers, size_t count, bool first, float *a, float *b,
                                 float **logits) {
  float *in = a, *out = b;
  for (size_t i = 0; i < count && !v->stopped; i++) {
    TRY(reference_layer(&layers[i], v->batch, in, out));
    for (size_t k = 0; k < algo_count() && !v->stopped; k++)
      if (is_for(v, algo_get(k), layers[i].shape.op, first && i == 0))
        check_one(v, algo_get(k), layers[i].name, &layers[i], in, out);
    if (layers[i].shape.op == LAYER_CONV && i + 1 < count && layers[i + 1].shape.op == LAYER_MAXPOOL)
      TRY(check_pooled(v, &layers[i], &layers[i + 1], in, out));
    if (layers[i].shape.op == LAYER_MAXPOOL && is_first(layers, i)) TRY(check_adaptive(v, &layers[i], in));
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

/* The values that pixels have where the network takes some, else any of about their range. */
static void make_images(verifier *v, const network *net, float *images) {
  const clvgg_preprocess *pre = v->preprocess;
  v->pixels = (pixel_map){.bgr = pre->bgr != 0,
                          .mean = {pre->mean[0], pre->mean[1], pre->mean[2]},
                          .std = {pre->std[0], pre->std[1], pre->std[2]}};
  v->rgb8 = net->input.c == 3;
  if (v->rgb8)
    pixels_random(&v->pixels, 1, v->batch, net->input.h * net->input.w, images);
  else
    random_fill(1, -2, 2, images, v->batch * shape3_elements(net->input));
}

clvgg_status verify_network(clvgg_device *dev, const network *net, const clvgg_preprocess *preprocess, size_t batch,
                            clvgg_verify_fn fn, void *user) {
  verifier v = {.dev = dev, .preprocess = preprocess, .batch = batch, .fn = fn, .user = user};
  layer *layers = NULL;
  size_t count = 0, elements = 0;
  float *a = NULL, *b = NULL, *images = NULL, *logits = NULL;
  clvgg_status status = network_layers(net, net->input.h, net->input.w, true, &layers, &count);
  if (!status) status = largest_activation(layers, count, batch, algo_block(device_info(dev)), &elements);
  if (!status) {
    const size_t image_elements = batch * shape3_elements(net->input);
    a = malloc(elements * sizeof *a);
    b = malloc(elements * sizeof *b);
    images = malloc(image_elements * sizeof *images);
    if (!a || !b || !images) status = base_fail(CLVGG_ERROR_MEMORY, "no memory for activations of %zu images", batch);
    if (!status) {
      make_images(&v, net, images);
      layers[0].pixels = &v.pixels;
      memcpy(a, images, image_elements * sizeof *a);
      check_conversions(&v, net->input, images);
      /* The softmax that network_layers appended is checked as a layer, but the network is compared by its logits. */
      status = check_layers(&v, layers, count - 1, true, a, b, &logits);
    }
    for (int i = CLVGG_PRECISION_F32; i <= CLVGG_PRECISION_BF16 && !status && !v.stopped; i++)
      if (i != CLVGG_PRECISION_AUTO) /* one of the others */
        status = check_network(&v, net, CLVGG_INPUT_F32, (clvgg_precision)i, images, logits);
    if (!status && !v.stopped && v.rgb8) status = check_network_rgb8(&v, net, images, logits);
    if (!status && !v.stopped) {
      float *spare = logits == a ? b : a;
      status = check_layers(&v, layers + count - 1, 1, false, logits, spare, &spare);
    }
  }
  free(images);
  free(b);
  free(a);
  free(layers);
  return status;
}
