/*
 * Every algorithm against the C reference: odd shapes, part batches, every legal parameter value. Outputs and workspaces are
 * poisoned with NaN, inputs have NaN behind their end, and nothing outside the output may change.
 *
 *     test_kernels [--small] [--ends] [ALGORITHM...]       CLVGG_DEVICE says where; CLVGG_TEST_SMALL=1 is --small
 *
 * --small is for simulators and slow drivers. --ends (CLVGG_TEST_ENDS=1) leaves out the values of parameters between the least and
 * the largest, where others have run. CLVGG_TEST_WITHOUT=TEXT leaves out algorithms whose name contains TEXT,
 * CLVGG_TEST_PART=K/N all but every Nth from the Kth on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/emulated.h"
#include "kernels/guarded.h"
#include "kernels/suite.h"

/* ---- shapes */

static void conv_shapes(const subject *sub) {
  static const size_t sides[][2] = {{1, 1}, {2, 3}, {7, 7}, {11, 5}, {17, 13}, {1, 5}, {14, 14}, {33, 5}};
  static const size_t channels[] = {1, 3, 17, 33, 64};
  const size_t side_count = suite.small ? 4 : COUNT(sides), channel_count = suite.small ? 3 : COUNT(channels);
  size_t number = 0;
  for (size_t i = 0; i < side_count; i++)
    for (size_t in = 0; in < channel_count; in++)
      for (size_t out = 0; out < channel_count; out++, number++) {
        if (suite.small && (in + out + i) % 3 != 0) continue;
        const layer_shape s = conv_shape(channels[in], channels[out], sides[i][0], sides[i][1], (number + i) % 2);
        suite_shape(sub, s, number);
        if (sub->a->pools && sides[i][0] > 1 && sides[i][1] > 1) suite_shape(sub, pooled_shape(s), number + 1);
      }
}

static void fc_shapes(const subject *sub) {
  static const size_t sizes[] = {1, 3, 17, 33, 64, 257, 1000};
  const size_t count = suite.small ? 6 : COUNT(sizes);
  size_t number = 0;
  for (size_t in = 0; in < count; in++)
    for (size_t out = 0; out < count; out++, number++) {
      if (suite.small && (in + out) % 3 != 0) continue;
      suite_shape(sub, fc_shape((shape3){sizes[in], 1, 1}, sizes[out], number % 2), number);
    }
  suite_shape(sub, fc_shape((shape3){5, 7, 3}, 33, false), 1); /* flattened pixels */
}

static void softmax_shapes(const subject *sub) {
  static const size_t classes[] = {1, 2, 10, 63, 257, 1000};
  for (size_t i = 0; i < COUNT(classes); i++) suite_shape(sub, softmax_shape(classes[i]), i);
}

/* Of pixels, which have three channels. */
static void convert_shapes(const subject *sub) {
  static const size_t sides[][2] = {{1, 1}, {1, 3}, {5, 7}, {33, 5}, {17, 13}, {9, 64}};
  for (size_t i = 0; i < COUNT(sides); i++) {
    const shape3 s = {3, sides[i][0], sides[i][1]};
    suite_shape(sub, (layer_shape){.op = LAYER_CONVERT, .in = s, .out = s}, i);
  }
}

static void (*const shapes[])(const subject *sub) = {
    [LAYER_CONV] = conv_shapes, [LAYER_MAXPOOL] = suite_maxpool_shapes, [LAYER_AVGPOOL] = suite_avgpool_shapes,
    [LAYER_FC] = fc_shapes,     [LAYER_SOFTMAX] = softmax_shapes,       [LAYER_CONVERT] = convert_shapes,
};

static void right_on_odd_shapes(void **state) {
  const subject *sub = *state;
  if (suite_device_lacks(sub->a)) skip();
  const size_t before = suite.cases_right;
  shapes[sub->a->op](sub);
  if (suite.cases_right == before) fail_msg("%s: the device supports none of the shapes", sub->a->name);
}

/* ---- parameters */

/* The least and largest will do where another algorithm takes the same kernels through all values: f32's of the same file, and for
 * CLBlast's products fc_f32_clblast. */
static suite_extent extent_of(const algo *a) {
  const bool own = strcmp(a->name, "conv_f16_nchw_mma") == 0 || strcmp(a->name, "conv_f16_nchw_dpas") == 0;
  const bool shared = (a->form != ALGO_F32 && !own) || strcmp(a->name, "conv_f32_nchw_im2col_clblast") == 0;
  return shared ? SUITE_ENDS : SUITE_VALUES;
}

static void right_with_every_parameter(void **state) {
  const subject *sub = *state;
  if (suite_device_lacks(sub->a)) skip();
  const bool small = suite.small;
  const suite_extent extent = extent_of(sub->a);
  layer_shape s;
  switch (sub->a->op) {
    case LAYER_CONV:
      suite_parameters(sub, small ? conv_shape(3, 19, 7, 9, true) : conv_shape(5, 19, 17, 13, true), small ? 1 : 2,
                       extent);
      if (small) break;
      s = conv_shape(3, 9, 7, 7, false);
      suite_parameters(sub, sub->a->pools ? pooled_shape(s) : s, 1, extent);
      break;
    case LAYER_FC:
      suite_parameters(sub, fc_shape((shape3){257, 1, 1}, small ? 9 : 19, true), small ? 2 : 5, extent);
      if (!small) suite_parameters(sub, fc_shape((shape3){33, 1, 1}, 10, false), 1, extent);
      break;
    default:
      suite_parameters(sub, softmax_shape(100), 3, extent);
  }
}

/* ---- softmax where exp of the plain score overflows or vanishes */
static void softmax_is_stable(void **state) {
  const subject *sub = *state;
  const float scores[10] = {1000, 999, -1000, 1000, 0, -2000, -2001, -2000, -3000, -2000};
  const algo_problem problem = {.shape = softmax_shape(5), .batch = 2};
  const layer l = {.name = "softmax", .shape = problem.shape};
  guarded_run r;
  guarded_open(suite.device, sub->a, &problem, NULL, &l, &r);
  guarded_execute(&r, 2, scores);
  float *got = guarded_output(&r);
  /* 1 / (2 + e^-1), e^-1 / (2 + e^-1), 0; and 1 / (3 + e^-1), e^-1 / (3 + e^-1) */
  const float want[10] = {0.42231880f, 0.15536240f, 0,           0.42231880f, 0,
                          0.29692274f, 0.10923177f, 0.29692274f, 0,           0.29692274f};
  for (size_t i = 0; i < COUNT(want); i++) assert_float_equal(got[i], want[i], 1e-6f);
  free(got);
  guarded_close(&r);
}

/* ---- emulated matrix instructions, which take an interpreter minutes for what the others do in seconds */
static void right_on_a_few_shapes(void **state) {
  const subject *sub = *state;
  static const struct {
    size_t in, out, h, w;
    int mma[ALGO_MAX_PARAMS], dpas[ALGO_MAX_PARAMS];
  } cases[] = {{17, 19, 3, 5, {1, 1, 16, 16, 16, 16}, {1, 1, 2, 16, 16}},
               {3, 17, 5, 4, {1, 2, 16, 16, 32, 8}, {1, 2, 1, 32, 8}},
               {1, 33, 3, 11, {2, 1, 32, 32, 16, 16}, {2, 1, 4, 16, 8}},
               {2, 9, 2, 9, {1, 1, 16, 16, 16, 8}, {1, 2, 1, 16, 16}}};
  const bool dpas = sub->a != emulated(algo_find("conv_f16_nchw_mma"));
  for (size_t i = 0; i < COUNT(cases); i++) {
    const layer_shape s = conv_shape(cases[i].in, cases[i].out, cases[i].h, cases[i].w, i != 0);
    const layer_shape pooled = pooled_shape(s);
    test_layer t;
    layer_make(i % 2 ? &pooled : &s, true, 300 + i, &t);
    suite_case(sub, &t.l, dpas ? cases[i].dpas : cases[i].mma, 2, 1 + i % 2, 400 + i);
    layer_free(&t);
  }
}

static void add_algorithm(subject sub) {
  /* Everything but the instruction itself can be tested anywhere. */
  const clvgg_device_info *dev = device_info(suite.device);
  const bool is_dpas = strcmp(sub.a->name, "conv_f16_nchw_dpas") == 0;
  if (is_dpas ? !dev->intel_matrix_multiply : !dev->nvidia_capability) sub.a = emulated(sub.a);
  if (is_emulated(sub.a) && suite.small) {
    suite_add("right on a few shapes", sub, right_on_a_few_shapes);
    return;
  }
  if (is_dpas && is_emulated(sub.a))
    suite_add("right on odd shapes, sub-groups of 8", (subject){emulated_dpas_of_8(), 0}, right_on_odd_shapes);
  suite_add("right on odd shapes", sub, right_on_odd_shapes);
  if (sub.a->params) suite_add("right with every parameter", sub, right_with_every_parameter);
  if (sub.a->op == LAYER_SOFTMAX) suite_add("is stable", sub, softmax_is_stable);
  suite_add("refuses bad arguments", sub, suite_bad_arguments_are_refused);
}

int main(int argc, char **argv) {
  return suite_main(argc, argv, "kernels", false, add_algorithm); /* the others: test_blocked */
}
