/* Computes chosen elements of a weighted layer's output, sums in double. */
#include "reference/samples.h"

#include <stdlib.h>

#include "base/parallel.h"
#include "base/random.h"
#include "base/size.h"

/* Corners: first and last of image, channel, row and column. */
#define CORNERS     16
#define SEED_PLACES 77

typedef struct work {
  const layer *l;
  const float *in;
  const reference_samples *samples;
  float *rows; /* (count, row length) */
} work;

/* One output of the convolution itself, at (y, x), of an image (C, H, W) with a row of weights (C, 3, 3). */
static double convolve(const layer_shape *s, const float *image, const float *row, size_t y, size_t x) {
  double sum = 0;
  for (size_t c = 0; c < s->in.c; c++)
    for (size_t ky = 0; ky < 3; ky++)
      for (size_t kx = 0; kx < 3; kx++) {
        const size_t iy = y + ky, ix = x + kx; /* one more than the input's, so that they are not negative */
        if (iy < 1 || iy > s->in.h || ix < 1 || ix > s->in.w) continue;
        sum += (double)row[c * 9 + ky * 3 + kx] * image[(c * s->in.h + iy - 1) * s->in.w + ix - 1];
      }
  return sum;
}

static double sample_conv(const layer_shape *s, const float *image, const float *row, size_t y, size_t x) {
  if (!s->pool) return convolve(s, image, row, y, x);
  double largest = convolve(s, image, row, 2 * y, 2 * x);
  for (size_t k = 1; k < 4; k++) {
    const double value = convolve(s, image, row, 2 * y + k / 2, 2 * x + k % 2);
    if (value > largest) largest = value;
  }
  return largest;
}

static void compute(size_t i, void *context) {
  const work *w = context;
  const layer_shape *s = &w->l->shape;
  const size_t at = w->samples->element[i], pixels = s->out.h * s->out.w, length = layer_row_length(s);
  const size_t pixel = at % pixels, channel = at / pixels % s->out.c, n = at / pixels / s->out.c;
  const float *image = w->in + n * shape3_elements(s->in);
  float *row = w->rows + i * length;
  layer_read_rows(w->l, channel, 1, row);
  double sum = 0;
  if (s->op == LAYER_CONV)
    sum = sample_conv(s, image, row, pixel / s->out.w, pixel % s->out.w);
  else
    for (size_t k = 0; k < length; k++) sum += (double)row[k] * image[k];
  sum += w->l->bias[channel];
  w->samples->value[i] = s->relu && sum < 0 ? 0.0f : (float)sum;
}

static void choose_elements(const shape3 *shape, size_t n, reference_samples *out) {
  const size_t all = n * shape3_elements(*shape);
  for (size_t i = 0; i < out->count; i++) {
    if (i < CORNERS) {
      const size_t image = i & 1 ? n - 1 : 0, channel = i & 2 ? shape->c - 1 : 0;
      const size_t y = i & 4 ? shape->h - 1 : 0, x = i & 8 ? shape->w - 1 : 0;
      out->element[i] = ((image * shape->c + channel) * shape->h + y) * shape->w + x;
    } else {
      const size_t at = (size_t)((double)random_uniform(SEED_PLACES, i) * (double)all);
      out->element[i] = at < all ? at : all - 1;
    }
  }
}

clvgg_status reference_samples_make(const layer *l, size_t n, const float *in, size_t count, reference_samples *out) {
  *out = (reference_samples){.count = count < CORNERS                  ? CORNERS
                                      : count > REFERENCE_MOST_SAMPLES ? REFERENCE_MOST_SAMPLES
                                                                       : count};
  const size_t length = layer_row_length(&l->shape);
  if (length == 0 || !l->weight || !l->bias)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s: only layers with weights are sampled", l->name);
  const size_t factors[] = {out->count, length, sizeof(float)};
  size_t bytes;
  float *rows = size_product(factors, 3, &bytes) ? malloc(bytes) : NULL;
  out->element = calloc(out->count, sizeof *out->element);
  out->value = calloc(out->count, sizeof *out->value);
  if (!rows || !out->element || !out->value) {
    free(rows);
    reference_samples_free(out);
    return base_fail(CLVGG_ERROR_MEMORY, "%s: no memory for samples of the reference", l->name);
  }
  choose_elements(&l->shape.out, n, out);
  parallel_for(out->count, compute, &(work){l, in, out, rows});
  free(rows);
  return CLVGG_OK;
}

void reference_samples_free(reference_samples *samples) {
  free(samples->element);
  free(samples->value);
  *samples = (reference_samples){0};
}
