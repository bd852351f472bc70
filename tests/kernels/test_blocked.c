/*
 * The algorithms on blocked activations, and those for CPUs that block their weights alike, against the C reference: blocks of 4, 8
 * and 16 channels, odd shapes, part batches, every legal parameter value. Outputs and workspaces are poisoned with
 * NaN, inputs have NaN behind their end, surplus channels must be zeros, and nothing outside the output may change.
 *
 *     test_blocked [--small] [--ends] [ALGORITHM...]       CLVGG_DEVICE says where; CLVGG_TEST_SMALL=1 is --small
 *
 * --small is for simulators and slow drivers: fewer cases, and only in the blocks that the device would use. --ends
 * (CLVGG_TEST_ENDS=1) runs only the least and the largest value of each parameter.
 * CLVGG_TEST_WITHOUT=TEXT leaves out algorithms whose name contains TEXT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "base/half.h"
#include "kernels/emulated_bf16.h"
#include "kernels/guarded.h"
#include "kernels/suite.h"
#include "kernels/winograd_bf16.h"

/* Whether the device computes in such blocks. Others run there, too, but for devices of their own. */
static bool is_own_block(const subject *sub) {
  return sub->block == algo_block(device_info(suite.device));
}

/* ---- shapes */

static void conv_shapes(const subject *sub) {
  static const size_t sides[][2] = {{1, 1}, {3, 5}, {7, 7}, {2, 2}, {13, 9}, {1, 6}, {9, 14}, {17, 15}};
  static const size_t channels[] = {1, 3, 17, 33};
  const bool few = suite.small || !is_own_block(sub);
  const size_t side_count = few ? 3 : COUNT(sides), channel_count = few ? 3 : COUNT(channels);
  size_t number = 0;
  for (size_t i = 0; i < side_count; i++)
    for (size_t in = 0; in < channel_count; in++)
      for (size_t out = 0; out < channel_count; out++, number++) {
        if (few && (in + out + i) % 3 != 0) continue;
        const layer_shape s = conv_shape(channels[in], channels[out], sides[i][0], sides[i][1], (number + i) % 2);
        suite_shape(sub, s, number);
        if (sub->a->pools && sides[i][0] > 1 && sides[i][1] > 1) suite_shape(sub, pooled_shape(s), number + 1);
      }
}

static void fc_shapes(const subject *sub) {
  static const shape3 inputs[] = {{1, 1, 1}, {17, 1, 1}, {33, 2, 3}, {3, 7, 7}, {16, 1, 2}, {257, 1, 1}};
  static const size_t outputs[] = {1, 3, 17, 33, 64, 130};
  size_t number = 0;
  for (size_t in = 0; in < COUNT(inputs); in++)
    for (size_t out = 0; out < COUNT(outputs); out++, number++)
      if (!suite.small || (in + out) % 3 == 0)
        suite_shape(sub, fc_shape(inputs[in], outputs[out], number % 2), number + in);
}

static void convert_shapes(const subject *sub) {
  static const shape3 shapes[] = {{1, 1, 1}, {3, 5, 7}, {17, 1, 3}, {16, 9, 2}, {33, 13, 11}, {8, 2, 2}};
  for (size_t i = 0; i < COUNT(shapes); i++)
    suite_shape(sub, (layer_shape){.op = LAYER_CONVERT, .in = shapes[i], .out = shapes[i]}, i);
}

static void (*const shapes_of[])(const subject *sub) = {
    [LAYER_CONV] = conv_shapes, [LAYER_MAXPOOL] = suite_maxpool_shapes, [LAYER_AVGPOOL] = suite_avgpool_shapes,
    [LAYER_FC] = fc_shapes,     [LAYER_CONVERT] = convert_shapes,
};

static void right_on_odd_shapes(void **state) {
  const subject *sub = *state;
  const size_t before = suite.cases_right;
  shapes_of[sub->a->op](sub);
  if (suite.cases_right > before) return;
  /* They are made for CPUs, and long loops do not run everywhere. */
  if (device_info(suite.device)->type != CLVGG_DEVICE_CPU || device_info(suite.device)->max_iterations) skip();
  fail_msg("%s: the device supports none of the shapes", sub->a->name);
}

/* ---- parameters */

/* In the blocks that the device computes in all pairs of values for f32, once where algorithms share kernels, and each value in the other
 * algorithms; in other blocks, which are for other devices, the least and the largest. */
static suite_extent extent_of(const subject *sub) {
  static const char *const like_fused[] = {"conv_f32_nchwc_winograd", "conv_f32_nchwc_winograd_on_the_fly"};
  if (!is_own_block(sub)) return SUITE_ENDS;
  bool shared = suite.small || sub->a->form != ALGO_F32 || (sub->a->op == LAYER_CONV && sub->a->in != ALGO_NCHWC);
  for (size_t i = 0; i < COUNT(like_fused); i++) shared = shared || strcmp(sub->a->name, like_fused[i]) == 0;
  return shared ? SUITE_VALUES : SUITE_PAIRS;
}

static void right_with_every_parameter(void **state) {
  const subject *sub = *state;
  const bool conv = sub->a->op == LAYER_CONV, image = conv && sub->a->in != ALGO_NCHWC;
  layer_shape s = conv ? conv_shape(image ? 3 : 19, 37, 7, 9, true) : fc_shape((shape3){9, 3, 2}, 37, true);
  if (sub->a->pools) s = pooled_shape(s);
  suite_parameters(sub, s, conv ? 2 : 5, extent_of(sub));
}

/* ---- smaller forms of weights */

/* An instance on a layer of one set of weights, made by hand. */
static clvgg_status open_weights(const subject *sub, test_layer *t, algo_instance *out) {
  const algo_problem problem = {.shape = t->l.shape, .batch = 1, .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  suite_choose(sub, &problem, param);
  return algo_open(sub->a, suite.device, &problem, param, &t->l, out);
}

static void half_weights_have_their_range(void **state) {
  const subject *sub = *state;
  const layer_shape s = fc_shape((shape3){5, 1, 1}, 3, false);
  if (!suite_supports(sub, &s)) skip();
  test_layer t;
  layer_make(&s, false, 1, &t);
  snprintf(t.l.name, sizeof t.l.name, "fc6");
  algo_instance inst;
  t.values[7] = 65519.0f; /* rounds to the largest, 65504 */
  must(open_weights(sub, &t, &inst));
  algo_close(&inst);
  const float wrong[] = {65520.0f, -1e6f};
  for (size_t i = 0; i < COUNT(wrong); i++) {
    t.values[7] = wrong[i];
    assert_int_equal(open_weights(sub, &t, &inst), CLVGG_ERROR_UNSUPPORTED);
    assert_non_null(strstr(clvgg_last_error(), "fc6"));
  }
  layer_free(&t);
}

/* Halves below 2^-14 have fewer bits, and are as exact as any other. */
static void half_weights_may_be_subnormal(void **state) {
  const subject *sub = *state;
  const layer_shape s = fc_shape((shape3){3, 1, 1}, 2, false);
  if (!suite_supports(sub, &s)) skip();
  test_layer t;
  layer_make(&s, false, 1, &t);
  const float weights[6] = {0x1p-24f, 0x3p-24f, -0x1p-15f, 0, 0x3ffp-24f, 0x1p-14f}, bias[2] = {0, 0};
  const float in[3] = {0x1p20f, -0x1p18f, 0x1p16f};
  const float want[2] = {0x1p-4f - 0x3p-6f - 2, -0x3ffp-6f + 4};
  memcpy(t.values, weights, sizeof weights);
  memcpy(t.l.bias, bias, sizeof bias);
  const algo_problem problem = {.shape = s, .batch = 1, .block = sub->block};
  guarded_run r;
  guarded_open(suite.device, sub->a, &problem, NULL, &t.l, &r);
  guarded_execute(&r, 1, in);
  float *got = guarded_output(&r);
  for (size_t i = 0; i < 2; i++) assert_true(got[i] == want[i]);
  free(got);
  guarded_close(&r);
  layer_free(&t);
}

/* Rows of every kind side by side, each with its own scale: products and sums that are exact in f32 show every bit of the
 * integers, and both their parts. */
static void int24_rows_have_their_scales(void **state) {
  const subject *sub = *state;
  enum { ROWS = 7, INPUTS = 3 };
  const layer_shape s = fc_shape((shape3){INPUTS, 1, 1}, ROWS, false);
  if (!suite_supports(sub, &s)) skip();
  test_layer t;
  layer_make(&s, false, 1, &t);
  const float most = 8388607;
  const float weights[ROWS][INPUTS] = {
      {most, 1, -1},                       /* every bit of a scale of 1 */
      {-most, -255, 257},                  /* the largest is negative; low bytes of negative integers */
      {0, 0, 0},                           /* no scale at all */
      {most * 0x1p-60f, 0x1p-60f, 1e-37f}, /* tiny; what is below half a step is nothing */
      {most * 0x1p80f, -0x3p80f, 1},       /* huge */
      {0x1p-126f, -0x3p-126f, 0x1p-140f},  /* too small for a scale of their own */
      {most / 2, 0.5f, -128},              /* a scale of a half */
  };
  const float in[INPUTS] = {1, 0x1p24f, -0x1p10f};
  const float want[ROWS] = {most + 0x1p24f + 0x1p10f,
                            -most - 255 * 0x1p24f - 257 * 0x1p10f,
                            0,
                            most * 0x1p-60f + 0x1p-36f,
                            most * 0x1p80f - 0x3p104f,
                            0x1p-126f - 0x3p-102f,
                            most / 2 + 0x1p23f + 0x1p17f};
  memcpy(t.values, weights, sizeof weights);
  for (size_t i = 0; i < ROWS; i++) t.l.bias[i] = 0;
  const algo_problem problem = {.shape = s, .batch = 1, .block = sub->block};
  guarded_run r;
  guarded_open(suite.device, sub->a, &problem, NULL, &t.l, &r);
  guarded_execute(&r, 1, in);
  float *got = guarded_output(&r);
  for (size_t i = 0; i < ROWS; i++)
    if (fabsf(got[i] - want[i]) > 0x1p-23f * fabsf(want[i]))
      fail_msg("row %zu is %.9g, not %.9g", i, (double)got[i], (double)want[i]);
  free(got);
  guarded_close(&r);
  layer_free(&t);
}

static void int24_weights_are_finite(void **state) {
  const subject *sub = *state;
  const layer_shape s = fc_shape((shape3){700, 1, 1}, 3, false);
  if (!suite_supports(sub, &s)) skip();
  test_layer t;
  layer_make(&s, false, 1, &t);
  snprintf(t.l.name, sizeof t.l.name, "fc6");
  algo_instance inst;
  const float wrong[] = {INFINITY, -INFINITY, NAN};
  const size_t places[] = {0, 700, 3 * 700 - 1};
  for (size_t i = 0; i < COUNT(wrong); i++)
    for (size_t k = 0; k < COUNT(places); k++) {
      const float kept = t.values[places[k]];
      t.values[places[k]] = wrong[i];
      assert_int_equal(open_weights(sub, &t, &inst), CLVGG_ERROR_UNSUPPORTED);
      assert_non_null(strstr(clvgg_last_error(), "fc6 has weights that are not finite"));
      t.values[places[k]] = kept;
    }
  t.values[5] = FLT_MAX;
  must(open_weights(sub, &t, &inst));
  algo_close(&inst);
  layer_free(&t);
}

/* ---- inputs rounded to bfloat16 */

/* Upper halves, with both signs, and lower halves that are rounded down, up, and to even. */
#define UPPER 14
#define LOWER 6

static void check_rounded(float in, float got) {
  const uint16_t rounded = float_to_bfloat16(in);
  float want;
  bfloat16_to_float_array(&rounded, &want, 1);
  const bool lost = fabsf(want) < FLT_MIN && got == 0; /* which the instructions take for zero */
  if (!(got == want || (isnan(got) && isnan(want)) || lost))
    fail_msg("%a became %a, not %a", (double)in, (double)got, (double)want);
}

/* An image of one pixel each, times one: what comes out is what was rounded, beside the host's own rounding. */
static void inputs_are_rounded_to_nearest_even(void **state) {
  static const uint32_t upper[UPPER] = {0x0000, 0x0001, 0x007F, 0x0080, 0x0081, 0x3F7F, 0x3F80,
                                        0x3F81, 0x4000, 0x7F7E, 0x7F7F, 0x7F80, 0x7F81, 0x7FC0};
  static const uint32_t lower[LOWER] = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};
  enum { VALUES = 2 * UPPER * LOWER };
  const subject *sub = *state;
  const layer_shape s = conv_shape(1, 1, 1, 1, false);
  if (!suite_supports(sub, &s)) skip();
  float in[VALUES];
  for (size_t i = 0; i < VALUES; i++) {
    const uint32_t bits = upper[i / LOWER % UPPER] << 16 | lower[i % LOWER] | (i < VALUES / 2 ? 0 : UINT32_C(1) << 31);
    memcpy(&in[i], &bits, sizeof in[i]);
  }
  test_layer t;
  layer_make(&s, false, 1, &t);
  for (size_t i = 0; i < 9; i++) t.values[i] = i == 4 ? 1.0f : 0.0f;
  t.l.bias[0] = 0;
  const algo_problem problem = {.shape = s, .batch = UPPER, .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  suite_choose(sub, &problem, param);
  guarded_run r;
  guarded_open(suite.device, sub->a, &problem, param, &t.l, &r);
  for (size_t first = 0; first < VALUES; first += UPPER) {
    guarded_execute(&r, UPPER, in + first);
    float *got = guarded_output(&r);
    for (size_t i = 0; i < UPPER; i++) check_rounded(in[first + i], got[i]);
    free(got);
  }
  guarded_close(&r);
  layer_free(&t);
}

/* Where a compiler takes a minute for each set of parameters of the emulated instructions, or an interpreter for each shape. */
static void right_on_a_few_shapes(void **state) {
  const subject *sub = *state;
  const bool tiles = strcmp(sub->a->name, "conv_bf16_nchwc_amx") == 0, winograd = winograd_bf16_is(sub->a);
  const int param[ALGO_MAX_PARAMS] = {winograd ? 4 : tiles ? 1 : 7, winograd ? 4 : 1, winograd ? 2 : 4, winograd};
  const layer_shape shapes[] = {conv_shape(3, 5, 3, 5, true), pooled_shape(conv_shape(33, 5, 4, 3, false)),
                                conv_shape(17, 19, 1, 4, false)};
  for (size_t i = 0; i < COUNT(shapes); i++) {
    test_layer t;
    layer_make(&shapes[i], true, 300 + i, &t);
    suite_case(sub, &t.l, param, i ? 1 : 2, i ? 1 : 2, 400 + i);
    layer_free(&t);
  }
}

/* Of a slot of the fused form's scratch, which pairs of many more input channels than outputs fill to half a vector. */
static void slots_are_whole_vectors(void **state) {
  const subject *sub = *state;
  const int param[ALGO_MAX_PARAMS] = {4, 13, 1, 1};
  test_layer t;
  const layer_shape s = conv_shape(5 * sub->block, 3, 9, 7, true);
  layer_make(&s, true, 310, &t);
  suite_case(sub, &t.l, param, 1, 1, 410);
  layer_free(&t);
}

static void add_algorithm(subject sub) {
  /* Everything but the instructions for bf16 can be tested anywhere. */
  const algo *registered = sub.a;
  sub.a = emulated_bf16(device_info(suite.device), registered);
  if (sub.a != registered && suite.small) {
    suite_add("right on a few shapes", sub, right_on_a_few_shapes);
    return;
  }
  if (sub.a->form == ALGO_BF16_MATH && !winograd_bf16_is(sub.a))
    suite_add("rounds inputs to nearest even", sub, inputs_are_rounded_to_nearest_even);
  suite_add("right on odd shapes", sub, right_on_odd_shapes);
  if (strstr(sub.a->name, "nchwc_winograd_fused"))
    suite_add("has slots of whole vectors", sub, slots_are_whole_vectors);
  if (sub.a->params) suite_add("right with every parameter", sub, right_with_every_parameter);
  if (sub.a->form == ALGO_F16) suite_add("has half's range", sub, half_weights_have_their_range);
  if (sub.a->form == ALGO_F16) suite_add("takes subnormal halves", sub, half_weights_may_be_subnormal);
  if (sub.a->form == ALGO_F24) suite_add("has a scale for each row", sub, int24_rows_have_their_scales);
  if (sub.a->form == ALGO_F24) suite_add("takes finite weights only", sub, int24_weights_are_finite);
  suite_add("refuses bad arguments", sub, suite_bad_arguments_are_refused);
}

int main(int argc, char **argv) {
  return suite_main(argc, argv, "blocked", true, add_algorithm);
}
