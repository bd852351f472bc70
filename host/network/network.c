/* Makes a network of tensors: checks every weight, folds batch norm, and lays the layers out for an input size. */
#include "network/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/size.h"
#include "network/build.h"

/* PyTorch's default, which every published VGG-BN uses; state dicts do not hold it. */
static const double bn_epsilon = 1e-5;

enum { CHUNK_ELEMENTS = 1 << 18 };

clvgg_status chunks_make(const tensor *tensors, size_t count, chunk **out, size_t *out_count) {
  size_t total = 0, n = 0;
  for (size_t i = 0; i < count; i++) total += size_ceil_div(tensor_elements(&tensors[i]), CHUNK_ELEMENTS);
  *out = calloc(total ? total : 1, sizeof **out);
  if (!*out) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu pieces of weights", total);
  for (size_t i = 0; i < count; i++) {
    const size_t elements = tensor_elements(&tensors[i]);
    for (size_t first = 0; first < elements; first += CHUNK_ELEMENTS) {
      const size_t left = elements - first;
      (*out)[n++] = (chunk){i, first, left < CHUNK_ELEMENTS ? left : CHUNK_ELEMENTS};
    }
  }
  *out_count = total;
  return CLVGG_OK;
}

/* ---- non-finite values */

typedef struct scan {
  const tensor *tensors;
  const chunk *chunks;
  size_t *bad; /* a chunk: its first non-finite element, SIZE_MAX when there is none */
} scan;

/* Reading a block and summing x * 0, which is 0 for every finite x and NaN else, keeps the loop free of branches; only a
 * block that has one is looked at closely. */
static void scan_chunk(size_t i, void *context) {
  const scan *s = context;
  const chunk *c = &s->chunks[i];
  const tensor *t = &s->tensors[c->tensor];
  enum { BLOCK = 4096, LANES = 16 };
  float block[BLOCK];
  s->bad[i] = SIZE_MAX;
  if (t->dtype == TENSOR_INT) return;
  for (size_t first = 0; first < c->n; first += BLOCK) {
    const size_t n = c->n - first < BLOCK ? c->n - first : BLOCK;
    float sums[LANES] = {0};
    tensor_read(t, c->first + first, n, block);
    for (size_t k = n; k < size_round_up(n, LANES); k++) block[k] = 0;
    for (size_t k = 0; k < n; k += LANES)
      for (size_t lane = 0; lane < LANES; lane++) sums[lane] += block[k + lane] * 0.0f;
    bool clean = true;
    for (size_t lane = 0; lane < LANES; lane++) clean = clean && sums[lane] == 0.0f;
    for (size_t k = 0; !clean && k < n; k++)
      if (!isfinite(block[k])) {
        s->bad[i] = c->first + first + k;
        return;
      }
  }
}

static clvgg_status check_finite(const tensor *tensors, size_t count) {
  chunk *chunks = NULL;
  size_t chunk_count;
  TRY(chunks_make(tensors, count, &chunks, &chunk_count));
  clvgg_status status = CLVGG_OK;
  size_t *bad = malloc((chunk_count ? chunk_count : 1) * sizeof *bad);
  if (!bad) status = base_fail(CLVGG_ERROR_MEMORY, "no memory to look at %zu pieces of weights", chunk_count);
  if (status == CLVGG_OK) parallel_for(chunk_count, scan_chunk, &(scan){tensors, chunks, bad});
  for (size_t i = 0; status == CLVGG_OK && i < chunk_count; i++) {
    if (bad[i] == SIZE_MAX) continue;
    const tensor *t = &tensors[chunks[i].tensor];
    float value;
    tensor_read(t, bad[i], 1, &value);
    status = base_fail(CLVGG_ERROR_MODEL, "tensor '%s' holds %s at element %zu, expected finite numbers", t->name,
                       isnan(value) ? "NaN" : "an infinity", bad[i]);
  }
  free(bad);
  free(chunks);
  return status;
}

/* ---- batch norm */

/* y = gamma * (w x + b - mean) / sqrt(var + epsilon) + beta (Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1, with
 * the running statistics) is again a convolution: w * scale, with scale = gamma / sqrt(var + epsilon), and
 * (b - mean) * scale + beta. The sums are in double and rounded once. */
static clvgg_status fold_conv(const conv_parts *conv, layer *l) {
  const size_t n = l->shape.out.c;
  l->bias = calloc(n, sizeof *l->bias);
  if (conv->bn[0]) l->scale = calloc(n, sizeof *l->scale);
  if (!l->bias || (conv->bn[0] && !l->scale)) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu biases", n);
  if (conv->bias) tensor_read(conv->bias, 0, n, l->bias);
  for (size_t i = 0; conv->bn[0] && i < n; i++) {
    float bn[BN_TENSORS];
    for (size_t k = 0; k < BN_TENSORS; k++) tensor_read(conv->bn[k], i, 1, &bn[k]);
    if (bn[BN_VAR] < 0)
      return base_fail(CLVGG_ERROR_MODEL, "tensor '%s' holds %g at element %zu, expected no negative variance",
                       conv->bn[BN_VAR]->name, (double)bn[BN_VAR], i);
    const double scale = bn[BN_WEIGHT] / sqrt(bn[BN_VAR] + bn_epsilon);
    l->scale[i] = (float)scale;
    l->bias[i] = (float)(((double)l->bias[i] - bn[BN_MEAN]) * scale + bn[BN_BIAS]);
    if (!isfinite(l->scale[i]) || !isfinite(l->bias[i]))
      return base_fail(CLVGG_ERROR_MODEL, "tensor '%s' at element %zu: batch norm folded into '%s' overflows f32",
                       conv->bn[BN_WEIGHT]->name, i, conv->weight->name);
  }
  return CLVGG_OK;
}

static clvgg_status fold(const network_parts *parts, network *net) {
  size_t conv = 0, fc = 0;
  for (size_t i = 0; i < net->layer_count; i++) {
    layer *l = &net->layers[i];
    if (l->shape.op == LAYER_CONV) TRY(fold_conv(&parts->convs[conv++], l));
    if (l->shape.op == LAYER_FC) TRY(fold_conv(&(conv_parts){.bias = parts->fcs[fc++].bias}, l));
  }
  return CLVGG_OK;
}

/* ---- layers for an input size */

static clvgg_status check_activations(const char *name, shape3 s) {
  const size_t factors[] = {s.c, s.h, s.w};
  size_t elements;
  if (size_product(factors, 3, &elements) && elements <= NETWORK_MAX_ELEMENTS) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_TOO_LARGE, "%s is %zux%zux%zu, expected at most %zu elements", name, s.c, s.h, s.w,
                   NETWORK_MAX_ELEMENTS);
}

clvgg_status network_layers(const network *net, size_t height, size_t width, bool softmax, layer **layers,
                            size_t *count) {
  *layers = NULL;
  *count = 0;
  shape3 at = {net->input.c, height, width};
  size_t pools = 0;
  for (size_t i = 0; i < net->layer_count; i++) pools += net->layers[i].shape.op == LAYER_MAXPOOL;
  if (height >> pools == 0 || width >> pools == 0)
    return base_fail(CLVGG_ERROR_ARGUMENT, "an input of %zux%zu is too small for %zu pools, expected at least %zux%zu",
                     height, width, pools, (size_t)1 << pools, (size_t)1 << pools);
  TRY(check_activations("the input", at));

  layer *out = calloc(net->layer_count + 2, sizeof *out);
  if (!out) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu layers", net->layer_count);
  size_t n = 0;
  clvgg_status status = CLVGG_OK;
  for (size_t i = 0; i < net->layer_count && status == CLVGG_OK; i++) {
    layer l = net->layers[i];
    if (l.shape.op == LAYER_AVGPOOL) continue; /* placed anew */
    if (l.shape.op == LAYER_FC && (at.h != l.shape.in.h || at.w != l.shape.in.w)) {
      out[n++] = (layer){.name = "avgpool", .shape = {.op = LAYER_AVGPOOL, .in = at, .out = l.shape.in}};
      at = l.shape.in;
    }
    l.shape.in = at;
    if (l.shape.op == LAYER_CONV) l.shape.out = (shape3){l.shape.out.c, at.h, at.w};
    if (l.shape.op == LAYER_MAXPOOL) l.shape.out = (shape3){at.c, at.h / 2, at.w / 2};
    at = l.shape.out;
    status = check_activations(l.name, at);
    out[n++] = l;
  }
  if (softmax) out[n++] = (layer){.name = "softmax", .shape = {.op = LAYER_SOFTMAX, .in = at, .out = at}};
  if (status != CLVGG_OK) {
    free(out);
    return status;
  }
  *layers = out;
  *count = n;
  return CLVGG_OK;
}

/* Replaces the layers without sizes by those for the trained input, and sums them up. */
static clvgg_status lay_out(network *net) {
  layer *layers;
  size_t count;
  const clvgg_status status = network_layers(net, net->input.h, net->input.w, false, &layers, &count);
  if (status != CLVGG_OK) return status == CLVGG_ERROR_ARGUMENT ? CLVGG_ERROR_MODEL : status;
  free(net->layers); /* scale and bias live on in the new ones */
  net->layers = layers;
  net->layer_count = count;
  for (size_t i = 0; i < count; i++) {
    net->params += layer_params(&layers[i].shape, layers[i].scale != NULL);
    net->table_flops += layer_table_flops(&layers[i].shape, layers[i].scale != NULL);
  }
  return CLVGG_OK;
}

clvgg_status network_from_tensors(const tensor *tensors, size_t count, size_t input_side, network **out) {
  *out = NULL;
  network_parts parts;
  TRY(parts_from_tensors(tensors, count, &parts));
  network *net = calloc(1, sizeof *net);
  clvgg_status status = net ? CLVGG_OK : base_fail(CLVGG_ERROR_MEMORY, "no memory for a network");
  if (status == CLVGG_OK) status = infer_layers(&parts, input_side, net);
  if (status == CLVGG_OK) status = check_finite(tensors, count);
  if (status == CLVGG_OK) status = fold(&parts, net);
  if (status == CLVGG_OK) status = lay_out(net);
  parts_free(&parts);
  if (status != CLVGG_OK) network_close(&net);
  *out = net;
  return status;
}

void network_close(network **net) {
  if (!*net) return;
  for (size_t i = 0; i < (*net)->layer_count; i++) {
    free((*net)->layers[i].scale);
    free((*net)->layers[i].bias);
  }
  free((*net)->layers);
  free((*net)->storage);
  free(*net);
  *net = NULL;
}
