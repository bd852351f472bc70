/*
 * A family's network with seeded weights that a script in any language can make again.
 *
 * Tensors are numbered t = 0, 1, ... in this order: for each convolution weight, bias, and for a BN network then the BN's
 * weight, bias, running_mean, running_var; after all convolutions, for each fully connected layer weight, bias. Tensor t is
 * stream seed * 1000 + t (modulo 2^64) of base/random.h, its element i in row-major order is
 *     low + (high - low) * uniform(stream, i)        in f32, product and sum each rounded, with [low, high) from
 *     weights (convolution, fully connected)   [-a, a), a = f32(sqrt(6 / inputs of one output))
 *     biases [-0.05, 0.05)     BN weight [0.8, 1.2)     BN bias, running_mean [-0.1, 0.1)     running_var [0.5, 1.5)
 * The bound a keeps the size of activations through ReLU layers (He et al. 2015, arXiv:1502.01852, equation 10).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "base/random.h"
#include "base/size.h"
#include "network/build.h"
#include "network/family.h"

enum {
  NAME_BYTES = 32,
  MAX_TENSORS = FAMILY_MAX_CONVS * (2 + BN_TENSORS) + 6,
  STREAMS_A_SEED = 1000,
};

/* A tensor to be: its values' range, and where they start among all. */
typedef struct recipe {
  float low, high;
  size_t offset;
} recipe;

typedef struct storage {
  tensor tensors[MAX_TENSORS];
  char names[MAX_TENSORS][NAME_BYTES];
  recipe recipes[MAX_TENSORS];
  size_t count, elements;
  float values[];
} storage;

static void add(storage *s, const char *module, size_t index, const char *field, float low, float high, size_t dims,
                const size_t *shape) {
  const size_t t = s->count++;
  snprintf(s->names[t], NAME_BYTES, "%s.%u.%s", module, (unsigned)index % 1000, field);
  s->recipes[t] = (recipe){low, high, s->elements};
  s->tensors[t] = (tensor){.dtype = TENSOR_F32, .dims = dims};
  for (size_t d = 0; d < dims; d++) s->tensors[t].shape[d] = shape[d];
  const size_t elements = tensor_elements(&s->tensors[t]);
  s->tensors[t].bytes = elements * sizeof(float);
  s->elements += elements;
}

static void add_matrix(storage *s, const char *module, size_t index, size_t dims, const size_t *shape) {
  size_t inputs = 1;
  for (size_t d = 1; d < dims; d++) inputs *= shape[d];
  const float a = (float)sqrt(6.0 / (double)inputs);
  add(s, module, index, "weight", -a, a, dims, shape);
  add(s, module, index, "bias", -0.05f, 0.05f, 1, shape);
}

/* Lists the tensors with torchvision's key names; s->values is not touched. */
static void list_tensors(const family *f, storage *s) {
  size_t index = 0, channels = 3;
  for (size_t stage = 0; stage < 5; stage++, index++)
    for (size_t i = 0; i < f->stage_convs[stage]; i++, index += 2) {
      const size_t shape[4] = {family_stage_channels[stage], channels, 3, 3};
      add_matrix(s, "features", index, 4, shape);
      channels = shape[0];
      if (!f->batch_norm) continue;
      index++;
      add(s, "features", index, "weight", 0.8f, 1.2f, 1, shape);
      add(s, "features", index, "bias", -0.1f, 0.1f, 1, shape);
      add(s, "features", index, "running_mean", -0.1f, 0.1f, 1, shape);
      add(s, "features", index, "running_var", 0.5f, 1.5f, 1, shape);
    }
  size_t inputs = channels * (FAMILY_INPUT_SIDE / 32) * (FAMILY_INPUT_SIDE / 32);
  for (size_t i = 0; i < 3; i++) {
    add_matrix(s, "classifier", 3 * i, 2, (const size_t[]){family_fc_outputs[i], inputs});
    inputs = family_fc_outputs[i];
  }
}

typedef struct filling {
  storage *storage;
  const chunk *chunks;
  uint64_t seed;
} filling;

static void fill_chunk(size_t i, void *context) {
  const filling *f = context;
  const chunk *c = &f->chunks[i];
  const recipe *r = &f->storage->recipes[c->tensor];
  const uint64_t stream = f->seed * STREAMS_A_SEED + c->tensor;
  const float span = r->high - r->low;
  float *out = f->storage->values + r->offset;
  for (size_t k = c->first; k < c->first + c->n; k++) {
    /* By way of double, so that no compiler fuses the product with the sum. */
    const float scaled = (float)((double)span * (double)random_uniform(stream, k));
    out[k] = r->low + scaled;
  }
}

/* Allocates for the tensors of f and fills them in. */
static clvgg_status make_storage(const family *f, uint64_t seed, storage **out) {
  storage *s = calloc(1, sizeof *s);
  if (!s) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %s", f->name);
  list_tensors(f, s);
  size_t bytes;
  storage *whole = NULL;
  if (size_mul(s->elements, sizeof(float), &bytes) && size_add(bytes, sizeof *s, &bytes)) whole = realloc(s, bytes);
  if (!whole) {
    const size_t elements = s->elements;
    free(s);
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for the %zu weights of %s", elements, f->name);
  }
  s = whole;
  for (size_t t = 0; t < s->count; t++) {
    s->tensors[t].name = s->names[t];
    s->tensors[t].data = s->values + s->recipes[t].offset;
  }
  chunk *chunks;
  size_t count;
  const clvgg_status status = chunks_make(s->tensors, s->count, &chunks, &count);
  if (status != CLVGG_OK) {
    free(s);
    return status;
  }
  parallel_for(count, fill_chunk, &(filling){s, chunks, seed});
  free(chunks);
  *out = s;
  return CLVGG_OK;
}

clvgg_status network_random(const char *name, uint64_t seed, network **out) {
  *out = NULL;
  const family *f = family_find(name);
  if (!f)
    return base_fail(CLVGG_ERROR_ARGUMENT,
                     "'%s' is not a model of the family, expected vgg11 to vgg19 or vgg11_bn to vgg19_bn",
                     name ? name : "(null)");
  storage *s = NULL;
  TRY(make_storage(f, seed, &s));
  const clvgg_status status = network_from_tensors(s->tensors, s->count, FAMILY_INPUT_SIDE, out);
  if (status == CLVGG_OK)
    (*out)->storage = s;
  else
    free(s);
  return status;
}
