/* Infers a VGG's layers from the shapes of its tensors: widths, pools, input size, classes, and the published name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "network/build.h"
#include "network/family.h"

enum { MAX_CONVS = 1000, MAX_POOLS = 24, SHAPE_TEXT_BYTES = 192 };

static clvgg_status check_dtype(const tensor *t) {
  if (t->dtype != TENSOR_INT) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_MODEL, "tensor '%s' holds integers, expected f32, f16, bf16 or f64", t->name);
}

static clvgg_status fail_shape(const tensor *t, const char *expected) {
  char found[SHAPE_TEXT_BYTES];
  return base_fail(CLVGG_ERROR_MODEL, "tensor '%s' is %s, expected %s", t->name,
                   tensor_shape_text(t, found, sizeof found), expected);
}

static clvgg_status check_vector(const tensor *t, size_t n) {
  TRY(check_dtype(t));
  if (t->dims == 1 && t->shape[0] == n) return CLVGG_OK;
  char expected[SHAPE_TEXT_BYTES];
  snprintf(expected, sizeof expected, "(%zu,)", n); /* as tensor_shape_text writes it */
  return fail_shape(t, expected);
}

/* Kernels index with 32-bit integers; a dimension of 0 would make an empty layer. */
static clvgg_status check_size(const tensor *t) {
  size_t elements;
  if (!size_product(t->shape, t->dims, &elements) || elements == 0 || elements > NETWORK_MAX_ELEMENTS) {
    char found[SHAPE_TEXT_BYTES];
    return base_fail(CLVGG_ERROR_MODEL, "tensor '%s' is %s, expected 1 to %zu elements", t->name,
                     tensor_shape_text(t, found, sizeof found), NETWORK_MAX_ELEMENTS);
  }
  return CLVGG_OK;
}

/* inputs: the channels that arrive, 0 for the first layer, which takes any. */
static clvgg_status check_conv(const conv_parts *conv, size_t inputs) {
  const tensor *w = conv->weight;
  char expected[SHAPE_TEXT_BYTES];
  TRY(check_dtype(w));
  if (w->dims != 4) return fail_shape(w, "(out, in, 3, 3)");
  if (w->shape[2] != 3 || w->shape[3] != 3) {
    snprintf(expected, sizeof expected, "(%zu, %zu, 3, 3): a VGG's convolutions are 3x3, this is %zux%zu", w->shape[0],
             w->shape[1], w->shape[2], w->shape[3]);
    return fail_shape(w, expected);
  }
  if (inputs && w->shape[1] != inputs) {
    snprintf(expected, sizeof expected, "(%zu, %zu, 3, 3): %zu channels arrive from the layer before", w->shape[0],
             inputs, inputs);
    return fail_shape(w, expected);
  }
  TRY(check_size(w));
  if (conv->bias) TRY(check_vector(conv->bias, w->shape[0]));
  for (size_t i = 0; conv->bn[0] && i < BN_TENSORS; i++) TRY(check_vector(conv->bn[i], w->shape[0]));
  return CLVGG_OK;
}

/* *row: the inputs of one output. inputs: what arrives, 0 for the first layer, which the convolutions decide. */
static clvgg_status check_fc(const keymap *map, const fc_parts *fc, size_t inputs, size_t *row) {
  const tensor *w = fc->weight;
  TRY(check_dtype(w));
  if (w->dims != 2 && !(map->conv_fc && w->dims == 4))
    return fail_shape(w, map->conv_fc ? "(out, in) or (out, in, height, width)" : "(out, in)");
  TRY(check_size(w));
  *row = tensor_elements(w) / w->shape[0];
  if (inputs && *row != inputs) {
    char expected[SHAPE_TEXT_BYTES];
    snprintf(expected, sizeof expected, "(%zu, %zu): %zu outputs arrive from the layer before", w->shape[0], inputs,
             inputs);
    return fail_shape(w, expected);
  }
  return check_vector(fc->bias, w->shape[0]);
}

/* side * side = the pixels of a channel that the first fc layer takes. */
static clvgg_status find_fc_side(const tensor *fc, size_t row, size_t channels, size_t *side) {
  const size_t pixels = channels == 0 || row % channels ? 0 : row / channels;
  *side = 0;
  while (*side < 65536 && *side * *side < pixels) ++*side;
  if (pixels && *side * *side == pixels) return CLVGG_OK;
  char found[SHAPE_TEXT_BYTES];
  return base_fail(CLVGG_ERROR_MODEL,
                   "tensor '%s' is %s, expected inputs of %zu * s * s for %zu channels of a square of s x s, found %zu",
                   fc->name, tensor_shape_text(fc, found, sizeof found), channels, channels, row);
}

/* Whether a pool follows the last convolution, and the input's side. The first fc layer sees fc_side when no pooling but
 * the network's own is between; where neither guess gives that, adaptive pooling stands before it, after the last pool as
 * in every published VGG. */
static clvgg_status find_input_side(const network_parts *parts, size_t pools, size_t fc_side, size_t known,
                                    bool *last_pool, size_t *side) {
  if (!known && fc_side == 1) known = parts->map->pooled_side;
  *last_pool = !known || known >> pools != fc_side || known >> (pools + 1) == fc_side;
  *side = known ? known : fc_side << (pools + 1);
  if (known || fc_side <= NETWORK_MAX_ELEMENTS >> (pools + 1)) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_MODEL, "%zu pools before a fully connected layer for %zux%zu make too large an input",
                   pools + 1, fc_side, fc_side);
}

/* The published configuration that this is, or NULL. */
static const family *find_published(const network_parts *parts, bool last_pool, size_t fc_side, bool all_bn,
                                    bool any_bn) {
  if (parts->fc_count != 3 || fc_side != 7 || !last_pool || all_bn != any_bn) return NULL;
  if (parts->convs[0].weight->shape[1] != 3) return NULL;
  for (size_t i = 0; i < 2; i++)
    if (parts->fcs[i].weight->shape[0] != family_fc_outputs[i]) return NULL;
  for (size_t f = 0; f < FAMILY_COUNT; f++) {
    size_t c = 0;
    bool same = families[f].batch_norm == all_bn;
    for (size_t stage = 0; same && stage < 5; stage++)
      for (size_t i = 0; same && i < families[f].stage_convs[stage]; i++, c++)
        same = c < parts->conv_count && parts->convs[c].weight->shape[0] == family_stage_channels[stage] &&
               (c + 1 == parts->conv_count || parts->convs[c].pool_after == (i + 1u == families[f].stage_convs[stage]));
    if (same && c == parts->conv_count) return &families[f];
  }
  return NULL;
}

/* Names as in the VGG paper: conv<stage>_<i>, pool<stage>; fully connected layers are numbered on from the stages, so that
 * five stages are followed by fc6. */
static void fill_layers(const network_parts *parts, bool last_pool, size_t fc_side, network *net) {
  layer *l = net->layers;
  unsigned short stage = 1, i = 1;
  for (size_t c = 0; c < parts->conv_count; c++, i++) {
    const conv_parts *conv = &parts->convs[c];
    const size_t out = conv->weight->shape[0];
    *l = (layer){.weight = conv->weight};
    snprintf(l->name, sizeof l->name, "conv%hu_%hu", stage, i);
    l++->shape =
        (layer_shape){.op = LAYER_CONV, .relu = true, .in = {conv->weight->shape[1], 0, 0}, .out = {out, 0, 0}};
    const bool last = c + 1 == parts->conv_count;
    if (!(last ? last_pool : conv->pool_after)) continue;
    *l = (layer){0};
    snprintf(l->name, sizeof l->name, "pool%hu", stage);
    l++->shape = (layer_shape){.op = LAYER_MAXPOOL, .in = {out, 0, 0}, .out = {out, 0, 0}};
    if (!last) stage++;
    i = 0;
  }
  shape3 at = {parts->convs[parts->conv_count - 1].weight->shape[0], fc_side, fc_side};
  for (size_t f = 0; f < parts->fc_count; f++) {
    *l = (layer){.weight = parts->fcs[f].weight};
    snprintf(l->name, sizeof l->name, "fc%hu", (unsigned short)(stage + 1 + f));
    l->shape =
        (layer_shape){.op = LAYER_FC, .relu = f + 1 < parts->fc_count, .in = at, .out = {l->weight->shape[0], 1, 1}};
    at = l++->shape.out;
  }
  net->layer_count = (size_t)(l - net->layers);
  net->classes = at.c;
}

clvgg_status infer_layers(const network_parts *parts, size_t input_side, network *net) {
  if (parts->conv_count > MAX_CONVS)
    return base_fail(CLVGG_ERROR_MODEL, "%zu convolutions, expected at most %d", parts->conv_count, MAX_CONVS);
  size_t channels = 0, pools = 0, row = 0, with_bn = 0, fc_side;
  for (size_t c = 0; c < parts->conv_count; c++) {
    TRY(check_conv(&parts->convs[c], channels));
    channels = parts->convs[c].weight->shape[0];
    pools += parts->convs[c].pool_after;
    with_bn += parts->convs[c].bn[0] != NULL;
  }
  if (pools >= MAX_POOLS) return base_fail(CLVGG_ERROR_MODEL, "%zu pools, expected at most %d", pools, MAX_POOLS);
  size_t outputs = 0;
  for (size_t f = 0; f < parts->fc_count; f++) {
    size_t length = 0;
    TRY(check_fc(parts->map, &parts->fcs[f], outputs, &length));
    outputs = parts->fcs[f].weight->shape[0];
    if (f == 0) row = length;
  }
  TRY(find_fc_side(parts->fcs[0].weight, row, channels, &fc_side));
  bool last_pool;
  size_t side;
  TRY(find_input_side(parts, pools, fc_side, input_side, &last_pool, &side));

  net->layers = calloc(2 * parts->conv_count + parts->fc_count, sizeof *net->layers);
  if (!net->layers) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu layers", parts->conv_count);
  fill_layers(parts, last_pool, fc_side, net);
  net->keys = parts->map->name;
  net->dtype = tensor_dtype_name(parts->convs[0].weight->dtype);
  net->batch_norm = with_bn > 0;
  net->input = (shape3){parts->convs[0].weight->shape[1], side, side};
  const family *published = find_published(parts, last_pool, fc_side, with_bn == parts->conv_count, with_bn > 0);
  if (published)
    snprintf(net->name, sizeof net->name, "%s", published->name);
  else
    snprintf(net->name, sizeof net->name, "vgg-like (%zu conv, %zu fc)", parts->conv_count, parts->fc_count);
  return CLVGG_OK;
}
