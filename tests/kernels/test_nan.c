/* A NaN in the input stays one in every output that depends on it: no algorithm hides it behind ReLU or a maximum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "kernels/emulated.h"
#include "kernels/emulated_bf16.h"
#include "kernels/fixture.h"
#include "kernels/guarded.h"

/* Every layer here has 17 input channels of 5x4 (fc and softmax: their own); channel 16's pixel (2, 1) of the second image is NaN. */
#define BATCH 2

/* Runs a on input (BATCH images) and leaves the plain output. False when it is not for this device or shape. */
static bool run(clvgg_device *dev, const algo *a, const test_layer *t, const float *input, float *output) {
  const layer_shape *s = &t->l.shape;
  const algo_problem p = {.shape = *s, .batch = BATCH, .block = algo_block(device_info(dev))};
  int param[ALGO_MAX_PARAMS] = {0};
  char why[ALGO_WHY_BYTES] = "";
  if (a->choose) a->choose(device_info(dev), &p, param);
  if (!algo_supports(a, device_info(dev), &p, param, why)) return false;
  guarded_run r;
  guarded_open(dev, a, &p, param, &t->l, &r);
  guarded_execute(&r, BATCH, input);
  float *got = guarded_output(&r);
  memcpy(output, got, BATCH * shape3_elements(s->out) * sizeof *got);
  free(got);
  guarded_close(&r);
  return true;
}

/* Channel c of the output pixel that is certain to depend on the NaN; a convolution mixes all channels, a pooling does not. */
static size_t dependent(const layer_shape *s, size_t c) {
  const bool whole = s->out.h == 1 && s->out.w == 1;
  const size_t y = whole ? 0 : 2 / (s->in.h / s->out.h), x = whole ? 0 : 1 / (s->in.w / s->out.w);
  return ((s->out.c + c) * s->out.h + y) * s->out.w + x;
}

static void check_shape(clvgg_device *dev, const layer_shape *s, size_t *checked) {
  test_layer t;
  layer_make(s, false, 5, &t);
  const size_t image = shape3_elements(s->in), pixels = s->in.h * s->in.w;
  float *input = malloc(BATCH * image * sizeof *input),
        *output = malloc(BATCH * shape3_elements(s->out) * sizeof *output);
  random_fill(9, -1, 1, input, BATCH * image);
  const size_t last = s->in.c - 1;
  input[image + last * pixels + (pixels > 1 ? 2 * s->in.w + 1 : 0)] = NAN;
  const bool mixes = s->op == LAYER_CONV || s->op == LAYER_FC || s->op == LAYER_SOFTMAX;
  for (size_t k = 0; k < algo_count(); k++) {
    const algo *a = emulated_bf16(device_info(dev), emulated(algo_get(k)));
    if (a->op != s->op || a->in == ALGO_RGB8 /* bytes cannot be NaN */ || !run(dev, a, &t, input, output)) continue;
    for (size_t c = mixes ? 0 : last; c < s->out.c; c++)
      if (!isnan(output[dependent(s, c)])) fail_msg("%s: a NaN became %g", a->name, (double)output[dependent(s, c)]);
    for (size_t i = 0; i < shape3_elements(s->out); i++)
      if (isnan(output[i])) fail_msg("%s: a NaN spread to another image", a->name);
    ++*checked;
  }
  free(input);
  free(output);
  layer_free(&t);
}

static void a_nan_stays_one(void **state) {
  (void)state;
  clvgg_device *dev = NULL;
  if (clvgg_device_open(NULL, &dev) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
  const layer_shape shapes[] = {
      conv_shape(17, 19, 5, 4, true),
      conv_shape(3, 19, 5, 4, true),
      pooled_shape(conv_shape(17, 19, 5, 4, true)),
      maxpool_shape(17, 5, 4),
      avgpool_shape(17, 5, 4, 1, 1),
      fc_shape((shape3){17, 5, 4}, 19, true),
      softmax_shape(10),
      {.op = LAYER_CONVERT, .in = {17, 5, 4}, .out = {17, 5, 4}},
  };
  size_t checked = 0;
  for (size_t i = 0; i < COUNT(shapes); i++) check_shape(dev, &shapes[i], &checked);
  print_message("%zu cases\n", checked);
  assert_true(checked >= 8);
  clvgg_device_close(&dev);
}

int main(void) {
  cache_make();
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_nan_stays_one)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
