/* Makes a network of shapes alone. */
#include "network/stand_in.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "network/build.h"

/* Numbers that are drawn; the rest of the block repeats them. Not a multiple of any row's length, so that rows differ. */
#define DRAWN ((size_t)1048573)

static bool is_weighted(const layer_shape *s) {
  return s->op == LAYER_CONV || s->op == LAYER_FC;
}

static bool same(shape3 a, shape3 b) {
  return a.c == b.c && a.h == b.h && a.w == b.w;
}

/* Everything that other parts of the library take for granted. */
static clvgg_status check(const stand_in_layer *l, const shape3 *before) {
  const layer_shape *s = &l->shape;
  const shape3 shapes[] = {s->in, s->out};
  for (int i = 0; i < 2; i++) {
    const size_t factors[] = {shapes[i].c, shapes[i].h, shapes[i].w};
    size_t elements;
    if (!size_product(factors, 3, &elements) || elements == 0 || elements > NETWORK_MAX_ELEMENTS)
      return base_fail(CLVGG_ERROR_MODEL, "%s: a shape of %zux%zux%zu", l->name, shapes[i].c, shapes[i].h, shapes[i].w);
  }
  const bool fits =
      (s->op == LAYER_CONV && s->out.h == s->in.h && s->out.w == s->in.w) ||
      (s->op == LAYER_MAXPOOL && s->out.c == s->in.c && s->out.h == s->in.h / 2 && s->out.w == s->in.w / 2) ||
      (s->op == LAYER_AVGPOOL && s->out.c == s->in.c) || (s->op == LAYER_FC && s->out.h == 1 && s->out.w == 1);
  size_t weights = 0;
  if (!fits || s->pool || (before && !same(*before, s->in)) ||
      (is_weighted(s) && (!size_mul(layer_row_length(s), s->out.c, &weights) || weights > NETWORK_MAX_ELEMENTS)))
    return base_fail(CLVGG_ERROR_MODEL, "%s: a shape that does not follow from the one before", l->name);
  return CLVGG_OK;
}

/* Room for the tensors and, behind them, the block: seeded numbers in [-1, 1). NULL without memory. */
static tensor *make_storage(size_t tensors, size_t floats) {
  size_t head, bytes;
  if (!size_mul(tensors, sizeof(tensor), &head) || !size_mul(floats, sizeof(float), &bytes) ||
      !size_add(head, bytes, &bytes))
    return NULL;
  tensor *storage = malloc(bytes);
  if (!storage) return NULL;
  float *values = (float *)(storage + tensors);
  const size_t drawn = floats < DRAWN ? floats : DRAWN;
  random_fill(1, -1, 1, values, drawn);
  for (size_t done = drawn; done < floats; done += drawn)
    memcpy(values + done, values, (floats - done < drawn ? floats - done : drawn) * sizeof *values);
  return storage;
}

static clvgg_status fill_layer(layer *l, tensor *t, const float *values) {
  const layer_shape *shape = &l->shape;
  const size_t length = layer_row_length(shape), rows = shape->out.c;
  l->scale = malloc(rows * sizeof *l->scale);
  l->bias = malloc(rows * sizeof *l->bias);
  if (!l->scale || !l->bias) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %s", l->name);
  random_fill(2, -0.05f, 0.05f, l->bias, rows);
  /* He et al. 2015, arXiv:1502.01852, equation 10, for uniform numbers. */
  for (size_t i = 0; i < rows; i++) l->scale[i] = (float)sqrt(6.0 / (double)length);
  *t = (tensor){.name = l->name,
                .dtype = TENSOR_F32,
                .dims = shape->op == LAYER_CONV ? 4 : 2,
                .shape = {rows, shape->op == LAYER_CONV ? shape->in.c : length, 3, 3},
                .data = values,
                .bytes = rows * length * sizeof(float)};
  l->weight = t;
  return CLVGG_OK;
}

static clvgg_status fill(network *net, const stand_in_layer *layers) {
  size_t largest = 1;
  for (size_t i = 0; i < net->layer_count; i++) {
    net->layers[i].shape = layers[i].shape;
    snprintf(net->layers[i].name, sizeof net->layers[i].name, "%s", layers[i].name);
    const size_t floats = layer_weight_count(&layers[i].shape);
    if (is_weighted(&layers[i].shape) && floats > largest) largest = floats;
  }
  tensor *tensors = make_storage(net->layer_count, largest);
  if (!tensors) return base_fail(CLVGG_ERROR_MEMORY, "no memory for a network of %zu layers", net->layer_count);
  net->storage = tensors;
  for (size_t i = 0; i < net->layer_count; i++)
    if (is_weighted(&layers[i].shape))
      TRY(fill_layer(&net->layers[i], &tensors[i], (const float *)(tensors + net->layer_count)));
  return CLVGG_OK;
}

clvgg_status network_stand_in(const stand_in_layer *layers, size_t count, network **out) {
  *out = NULL;
  if (count == 0 || !is_weighted(&layers[count - 1].shape))
    return base_fail(CLVGG_ERROR_MODEL, "a network of %zu layers that does not end in one with weights", count);
  for (size_t i = 0; i < count; i++) TRY(check(&layers[i], i ? &layers[i - 1].shape.out : NULL));
  network *net = calloc(1, sizeof *net);
  layer *list = calloc(count, sizeof *list);
  if (!net || !list) {
    free(net);
    free(list);
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for a network of %zu layers", count);
  }
  *net = (network){.name = "stand-in",
                   .keys = "none",
                   .dtype = "f32",
                   .input = layers[0].shape.in,
                   .classes = layers[count - 1].shape.out.c,
                   .layer_count = count,
                   .layers = list};
  const clvgg_status status = fill(net, layers);
  if (status) network_close(&net);
  *out = net;
  return status;
}
