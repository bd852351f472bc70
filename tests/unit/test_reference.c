/* The C reference against answers worked out by hand, and against the definitions written another way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "reference/reference.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static tensor make_tensor(const float *values, size_t count) {
  return (tensor){.name = "w", .dtype = TENSOR_F32, .dims = 1, .shape = {count}, .data = values, .bytes = count * 4};
}

static void expect(const layer *l, size_t n, const float *in, const float *want, size_t count) {
  float *got = malloc(count * sizeof *got);
  assert_int_equal(reference_layer(l, n, in, got), CLVGG_OK);
  for (size_t i = 0; i < count; i++)
    if (got[i] != want[i]) fail_msg("element %zu is %.9g, expected %.9g", i, got[i], want[i]);
  free(got);
}

static void conv_by_hand(void **state) {
  (void)state;
  /* One channel of 2 x 3, taps 1..9: each output is the sum of tap * pixel where the kernel lies inside. */
  const float in[] = {1, 2, 3, 4, 5, 6}, taps[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const tensor weight = make_tensor(taps, 9);
  float bias[] = {0.5f};
  const layer l = {.shape = {.op = LAYER_CONV, .in = {1, 2, 3}, .out = {1, 2, 3}}, .weight = &weight, .bias = bias};
  /* (0,0): 5*1+6*2+8*4+9*5 = 94; (0,1): 4*1+5*2+6*3+7*4+8*5+9*6 = 154; (0,2): 4*2+5*3+7*5+8*6 = 106
   * (1,0): 2*1+3*2+5*4+6*5 = 58; (1,1): 1*1+2*2+3*3+4*4+5*5+6*6 = 91; (1,2): 1*2+2*3+4*5+5*6 = 58 */
  const float want[] = {94.5f, 154.5f, 106.5f, 58.5f, 91.5f, 58.5f};
  expect(&l, 1, in, want, COUNT(want));
}

static void conv_folds_batch_norm_and_clips(void **state) {
  (void)state;
  /* 1 x 1 pixels: only the centre tap counts. Two channels in and out, two images. */
  float taps[2 * 2 * 9] = {0};
  for (size_t i = 0; i < COUNT(taps); i++) taps[i] = 1000;
  taps[0 * 18 + 0 * 9 + 4] = 1, taps[0 * 18 + 1 * 9 + 4] = 2;
  taps[1 * 18 + 0 * 9 + 4] = -3, taps[1 * 18 + 1 * 9 + 4] = 4;
  const tensor weight = make_tensor(taps, COUNT(taps));
  float bias[] = {10, -20}, scale[] = {2, 0.5f};
  layer l = {.shape = {.op = LAYER_CONV, .relu = true, .in = {2, 1, 1}, .out = {2, 1, 1}},
             .weight = &weight,
             .bias = bias,
             .scale = scale};
  const float in[] = {1, 2, 4, 100};
  expect(&l, 2, in, (const float[]){20, 0, 418, 174}, 4);
  l.shape.relu = false;
  expect(&l, 2, in, (const float[]){20, -17.5f, 418, 174}, 4);
}

/* The sum written from the output's side, one term at a time, in long double. */
static long double conv_term_sum(const layer *l, const float *weights, const float *in, size_t n, size_t o, size_t y,
                                 size_t x) {
  const shape3 s = l->shape.in;
  long double sum = l->bias[o];
  for (size_t c = 0; c < s.c; c++)
    for (int ky = -1; ky <= 1; ky++)
      for (int kx = -1; kx <= 1; kx++) {
        const long row = (long)y + ky, column = (long)x + kx;
        if (row < 0 || column < 0 || row >= (long)s.h || column >= (long)s.w) continue;
        sum += (long double)in[((n * s.c + c) * s.h + (size_t)row) * s.w + (size_t)column] *
               weights[((o * s.c + c) * 3 + (size_t)(ky + 1)) * 3 + (size_t)(kx + 1)];
      }
  return sum;
}

static void conv_on_odd_shapes(void **state) {
  (void)state;
  static const size_t cases[][4] = {
      /* in, out, height, width */
      {1, 1, 1, 1}, {3, 2, 1, 5}, {2, 70, 2, 3}, {17, 3, 7, 2}, {5, 5, 13, 1}, {4, 65, 9, 9}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    const shape3 in_shape = {cases[i][0], cases[i][2], cases[i][3]},
                 out_shape = {cases[i][1], cases[i][2], cases[i][3]};
    const size_t images = 2, weights_count = in_shape.c * out_shape.c * 9;
    const size_t in_count = images * shape3_elements(in_shape), out_count = images * shape3_elements(out_shape);
    float *weights = malloc(weights_count * 4), *in = malloc(in_count * 4), *out = malloc(out_count * 4);
    float *bias = malloc(out_shape.c * 4);
    random_fill(1, -1, 1, weights, weights_count);
    random_fill(2, -1, 1, in, in_count);
    random_fill(3, -1, 1, bias, out_shape.c);
    const tensor weight = make_tensor(weights, weights_count);
    const layer l = {.shape = {.op = LAYER_CONV, .in = in_shape, .out = out_shape}, .weight = &weight, .bias = bias};
    assert_int_equal(reference_layer(&l, images, in, out), CLVGG_OK);
    size_t at = 0;
    for (size_t n = 0; n < images; n++)
      for (size_t o = 0; o < out_shape.c; o++)
        for (size_t y = 0; y < out_shape.h; y++)
          for (size_t x = 0; x < out_shape.w; x++, at++) {
            const double want = (double)conv_term_sum(&l, weights, in, n, o, y, x);
            if (!(fabs(out[at] - want) <= 0x1p-24 * fabs(want) + 1e-14))
              fail_msg("case %zu, element %zu: %.9g, expected %.17g", i, at, out[at], want);
          }
    free(weights);
    free(in);
    free(out);
    free(bias);
  }
}

static void fc_by_hand(void **state) {
  (void)state;
  const float rows[] = {1, 2, 3, 4, -1, -1, -1, -1, 0, 0, 0, 0.25f};
  const tensor weight = make_tensor(rows, COUNT(rows));
  float bias[] = {1, 2, 3};
  layer l = {
      .shape = {.op = LAYER_FC, .relu = true, .in = {2, 1, 2}, .out = {3, 1, 1}}, .weight = &weight, .bias = bias};
  const float in[] = {1, 1, 1, 1, 2, 0, -3, 8};
  expect(&l, 2, in, (const float[]){11, 0, 3.25f, 26, 0, 5}, 6);
  l.shape.relu = false;
  expect(&l, 2, in, (const float[]){11, -2, 3.25f, 26, -5, 5}, 6);
}

static void fc_keeps_what_f32_would_lose(void **state) {
  (void)state;
  /* 2^25 + 100 * 1 - 2^25: an f32 sum in any left-to-right order loses the ones. */
  float in[102], row[102];
  for (size_t i = 0; i < 102; i++) in[i] = row[i] = 1;
  in[0] = 0x1p25f, in[101] = -0x1p25f;
  const tensor weight = make_tensor(row, 102);
  float bias[] = {0};
  const layer l = {.shape = {.op = LAYER_FC, .in = {102, 1, 1}, .out = {1, 1, 1}}, .weight = &weight, .bias = bias};
  expect(&l, 1, in, (const float[]){100}, 1);
}

static void maxpool_by_hand(void **state) {
  (void)state;
  /* 3 x 5: the last row and column are dropped. */
  const float in[] = {1, 2, -5, -6, 99, 3, 0, -7, -8, 99, 99, 99, 99, 99, 99};
  const layer l = {.shape = {.op = LAYER_MAXPOOL, .in = {1, 3, 5}, .out = {1, 1, 2}}};
  expect(&l, 1, in, (const float[]){3, -5}, 2);
}

static void avgpool_by_hand(void **state) {
  (void)state;
  /* 5 -> 3 columns: [0,2) [1,4) [3,5); 1 row -> 2: twice the same row. As torch.nn.AdaptiveAvgPool2d. */
  const float in[] = {1, 2, 3, 4, 6};
  const layer l = {.shape = {.op = LAYER_AVGPOOL, .in = {1, 1, 5}, .out = {1, 2, 3}}};
  expect(&l, 1, in, (const float[]){1.5f, 3, 5, 1.5f, 3, 5}, 6);
  const layer copy = {.shape = {.op = LAYER_AVGPOOL, .in = {1, 1, 5}, .out = {1, 1, 5}}};
  expect(&copy, 1, in, in, 5);
}

static void softmax_by_hand(void **state) {
  (void)state;
  const layer l = {.shape = {.op = LAYER_SOFTMAX, .in = {2, 1, 1}, .out = {2, 1, 1}}};
  const float in[] = {5, 5, 1000, -1000, -3000, -3000};
  expect(&l, 3, in, (const float[]){0.5f, 0.5f, 1, 0, 0.5f, 0.5f}, 6);
  const layer three = {.shape = {.op = LAYER_SOFTMAX, .in = {3, 1, 1}, .out = {3, 1, 1}}};
  const float log_weights[] = {0, 0.69314718056f, 1.60943791243f}; /* log 1, 2, 5 */
  float got[3];
  assert_int_equal(reference_layer(&three, 1, log_weights, got), CLVGG_OK);
  assert_float_equal(got[0], 0.125f, 1e-7f);
  assert_float_equal(got[1], 0.25f, 1e-7f);
  assert_float_equal(got[2], 0.625f, 1e-7f);
}

static void compare_measures(void **state) {
  (void)state;
  const float want[] = {3, 0, -4}, got[] = {3, 0.5f, -4};
  reference_error e = reference_compare(got, want, 3);
  assert_true(e.max_abs == 0.5 && e.max_rel == 0.125 && e.rel_l2 == 0.1);
  e = reference_compare(want, want, 3);
  assert_true(e.max_abs == 0 && e.max_rel == 0 && e.rel_l2 == 0);
  const float bad[] = {3, NAN, -4}, infinite[] = {3, 0, -INFINITY}, zeros[] = {0, 0, 0};
  assert_true(isinf(reference_compare(bad, want, 3).max_rel));
  assert_true(isinf(reference_compare(bad, bad, 3).max_rel));
  assert_true(isinf(reference_compare(infinite, want, 3).max_abs));
  assert_true(isinf(reference_compare(infinite, infinite, 3).max_abs));
  assert_true(isinf(reference_compare(want, bad, 3).rel_l2));
  assert_true(isinf(reference_compare(want, zeros, 3).max_rel));
  assert_true(reference_compare(zeros, zeros, 3).max_rel == 0);
}

static void tolerance_grows_with_the_sum(void **state) {
  (void)state;
  const layer_shape small = {.op = LAYER_CONV, .in = {3, 8, 8}, .out = {4, 8, 8}};
  const layer_shape large = {.op = LAYER_FC, .in = {512, 7, 7}, .out = {4096, 1, 1}};
  const layer_shape pool = {.op = LAYER_MAXPOOL, .in = {3, 8, 8}, .out = {3, 4, 4}};
  /* An f32 cannot be better than 2^-24, and a result wrong in its fourth digit is not a rounding error. */
  assert_true(reference_tolerance(&small) > 0x1p-24 && reference_tolerance(&small) < 1e-4);
  assert_true(reference_tolerance(&large) > reference_tolerance(&small) && reference_tolerance(&large) < 1e-3);
  assert_true(reference_tolerance(&pool) == 0);
}

static void a_layer_without_weights_is_an_error(void **state) {
  (void)state;
  const layer l = {.name = "conv1_1", .shape = {.op = LAYER_CONV, .in = {1, 1, 1}, .out = {1, 1, 1}}};
  float value = 0;
  assert_int_equal(reference_layer(&l, 1, &value, &value), CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "conv1_1"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conv_by_hand),
      cmocka_unit_test(conv_folds_batch_norm_and_clips),
      cmocka_unit_test(conv_on_odd_shapes),
      cmocka_unit_test(fc_by_hand),
      cmocka_unit_test(fc_keeps_what_f32_would_lose),
      cmocka_unit_test(maxpool_by_hand),
      cmocka_unit_test(avgpool_by_hand),
      cmocka_unit_test(softmax_by_hand),
      cmocka_unit_test(compare_measures),
      cmocka_unit_test(tolerance_grows_with_the_sum),
      cmocka_unit_test(a_layer_without_weights_is_an_error),
  };
  return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
