/* Samples of the reference: the values of the whole reference at chosen elements, the corners among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/random.h"
#include "reference/reference.h"
#include "reference/samples.h"

static float *numbers(uint64_t stream, float low, float high, size_t n) {
  float *values = malloc(n * sizeof *values);
  assert_non_null(values);
  random_fill(stream, low, high, values, n);
  return values;
}

/* What the whole reference gives: (n, C, H, W), pooled where the shape says so. */
static float *whole(const layer *l, size_t n, const float *in) {
  layer alone = *l;
  const shape3 s = l->shape.in;
  if (l->shape.pool) alone.shape.out = (shape3){l->shape.out.c, s.h, s.w};
  alone.shape.pool = false;
  float *out = malloc(n * shape3_elements(alone.shape.out) * sizeof *out);
  assert_non_null(out);
  assert_int_equal(reference_layer(&alone, n, in, out), CLVGG_OK);
  if (!l->shape.pool) return out;
  const layer pool = {.shape = {.op = LAYER_MAXPOOL, .in = alone.shape.out, .out = l->shape.out}};
  float *pooled = malloc(n * shape3_elements(l->shape.out) * sizeof *pooled);
  assert_non_null(pooled);
  assert_int_equal(reference_layer(&pool, n, out, pooled), CLVGG_OK);
  free(out);
  return pooled;
}

/* Of each combination of first and last image, channel, row and column. */
static void expect_corners(const reference_samples *samples, size_t n, shape3 s) {
  for (size_t corner = 0; corner < 16; corner++) {
    const size_t image = corner & 1 ? n - 1 : 0, c = corner & 2 ? s.c - 1 : 0;
    const size_t y = corner & 4 ? s.h - 1 : 0, x = corner & 8 ? s.w - 1 : 0;
    const size_t element = ((image * s.c + c) * s.h + y) * s.w + x;
    bool found = false;
    for (size_t i = 0; i < samples->count; i++) found = found || samples->element[i] == element;
    if (!found) fail_msg("corner %zu is not among the samples", corner);
  }
}

static void samples_are_the_references_values(void **state) {
  (void)state;
  static const struct {
    layer_shape shape;
    size_t n;
    bool scaled; /* as batch norm leaves them */
  } cases[] = {
      {{.op = LAYER_CONV, .in = {5, 13, 9}, .out = {7, 13, 9}}, 1, false},
      {{.op = LAYER_CONV, .relu = true, .in = {3, 11, 6}, .out = {17, 11, 6}}, 3, true},
      {{.op = LAYER_CONV, .relu = true, .in = {1, 1, 1}, .out = {1, 1, 1}}, 1, false},
      {{.op = LAYER_CONV, .relu = true, .pool = true, .in = {5, 12, 8}, .out = {6, 6, 4}}, 1, true},
      /* The last row and column are dropped. */
      {{.op = LAYER_CONV, .pool = true, .in = {4, 13, 9}, .out = {9, 6, 4}}, 3, false},
      {{.op = LAYER_FC, .in = {5, 7, 3}, .out = {33, 1, 1}}, 1, false},
      {{.op = LAYER_FC, .relu = true, .in = {37, 1, 1}, .out = {10, 1, 1}}, 3, true},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    const layer_shape *s = &cases[k].shape;
    const size_t n = cases[k].n, length = layer_row_length(s), rows = s->out.c, all = n * shape3_elements(s->out);
    float *weights = numbers(1 + k, -1, 1, rows * length), *bias = numbers(20 + k, -1, 1, rows);
    float *scale = numbers(40 + k, 0.5f, 2, rows), *in = numbers(60 + k, -1, 1, n * shape3_elements(s->in));
    const tensor weight = {.name = "w",
                           .dtype = TENSOR_F32,
                           .dims = 1,
                           .shape = {rows * length},
                           .data = weights,
                           .bytes = 4 * rows * length};
    const layer l = {
        .name = "layer", .shape = *s, .weight = &weight, .bias = bias, .scale = cases[k].scaled ? scale : NULL};
    float *want = whole(&l, n, in);
    reference_samples samples;
    assert_int_equal(reference_samples_make(&l, n, in, 100, &samples), CLVGG_OK);
    assert_int_equal(samples.count, 100);
    expect_corners(&samples, n, s->out);
    size_t beyond = 0;
    for (size_t i = 0; i < samples.count; i++) {
      const size_t element = samples.element[i];
      assert_true(element < all);
      beyond += element * 2 >= all;
      if (samples.value[i] != want[element])
        fail_msg("case %zu: element %zu is %.9g, expected %.9g", k, element, samples.value[i], want[element]);
    }
    /* All over: not only in the first half. */
    if (all > 100) assert_in_range(beyond, 25, 75);
    reference_samples_free(&samples);
    assert_null(samples.element);
    free(want);
    free(in);
    free(scale);
    free(bias);
    free(weights);
  }
}

static void their_number_is_bounded(void **state) {
  (void)state;
  float weights[9] = {1}, bias[1] = {0}, in[4] = {1, 2, 3, 4};
  const tensor weight = {
      .name = "w", .dtype = TENSOR_F32, .dims = 1, .shape = {9}, .data = weights, .bytes = sizeof weights};
  const layer l = {.shape = {.op = LAYER_CONV, .in = {1, 2, 2}, .out = {1, 2, 2}}, .weight = &weight, .bias = bias};
  static const size_t cases[][2] = {{0, 16}, {16, 16}, {17, 17}, {256, 256}, {257, 256}, {SIZE_MAX, 256}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    reference_samples samples;
    assert_int_equal(reference_samples_make(&l, 1, in, cases[i][0], &samples), CLVGG_OK);
    assert_int_equal(samples.count, cases[i][1]);
    reference_samples_free(&samples);
  }
}

static void layers_without_weights_are_refused(void **state) {
  (void)state;
  const shape3 wide = {8, 4, 4}, half = {8, 2, 2}, one = {8, 1, 1};
  const layer_shape shapes[] = {
      {.op = LAYER_MAXPOOL, .in = wide, .out = half}, {.op = LAYER_AVGPOOL, .in = wide, .out = half},
      {.op = LAYER_SOFTMAX, .in = one, .out = one},   {.op = LAYER_CONVERT, .in = wide, .out = wide},
      {.op = LAYER_CONV, .in = wide, .out = wide}, /* one that has lost them */
  };
  const float in[8 * 4 * 4] = {0};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const layer l = {.name = "pool3", .shape = shapes[i]};
    reference_samples samples;
    memset(&samples, 0xff, sizeof samples);
    assert_int_equal(reference_samples_make(&l, 1, in, 16, &samples), CLVGG_ERROR_UNSUPPORTED);
    assert_non_null(strstr(clvgg_last_error(), "pool3"));
    assert_null(samples.element);
    assert_null(samples.value);
    reference_samples_free(&samples);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_are_the_references_values),
      cmocka_unit_test(their_number_is_bounded),
      cmocka_unit_test(layers_without_weights_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
