/* Problems and parameters as text: what is written reads back the same, and nothing else is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>

#include "algo/text.h"
#include "plan/costs.h"

static void expect_round_trip(const algo_problem *p) {
  char text[ALGO_PROBLEM_BYTES];
  algo_problem found;
  memset(&found, 0xff, sizeof found);
  assert_ptr_equal(algo_problem_text(p, text), text);
  if (!algo_problem_parse(text, &found)) fail_msg("'%s' is not read", text);
  if (!costs_same_problem(&found, p)) fail_msg("'%s' reads as another problem", text);
}

static void problems_of_every_op_read_back(void **state) {
  (void)state;
  for (int op = LAYER_CONV; op <= LAYER_CONVERT; op++)
    for (int flags = 0; flags < 4; flags++)
      for (size_t batch = 1; batch <= 64; batch *= 8) {
        const layer_shape shape = {
            .op = (layer_op)op, .relu = flags & 1, .pool = flags & 2, .in = {3, 224, 225}, .out = {4096, 1, 7}};
        expect_round_trip(&(algo_problem){.shape = shape, .batch = batch, .block = 16});
      }
  /* The longest of shapes that a network can have. */
  const shape3 most = {INT32_MAX, INT32_MAX, INT32_MAX};
  const layer_shape shape = {.op = LAYER_MAXPOOL, .relu = true, .pool = true, .in = most, .out = most};
  expect_round_trip(&(algo_problem){.shape = shape, .batch = INT32_MAX, .block = INT32_MAX});
}

static void a_problem_is_written_as_the_header_says(void **state) {
  (void)state;
  char text[ALGO_PROBLEM_BYTES];
  const layer_shape shape = {.op = LAYER_CONV, .relu = true, .pool = true, .in = {64, 224, 224}, .out = {64, 112, 112}};
  algo_problem_text(&(algo_problem){.shape = shape, .batch = 1, .block = 16}, text);
  assert_string_equal(text, "conv 64x224x224 64x112x112 relu pool b1 k16");
}

static void other_texts_are_no_problems(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "",
      "conv",
      "conv ",
      "conv 3x4x5 6x7x8",
      "conv 3x4x5 6x7x8 b1",
      "conv 3x4x5 6x7x8 k16 b1",                          /* another order */
      "conv 3x4x5 6x7x8 pool relu b1 k16",                /* of flags */
      "relu conv 3x4x5 6x7x8 b1 k16",                     /* of words */
      "conv 3x4x5 6x7x8 relu relu b1 k16",                /* twice */
      "conv 3x4 6x7x8 b1 k16",                            /* too few numbers */
      "conv 3x4x5x6 6x7x8 b1 k16",                        /* too many */
      "conv 03x4x5 6x7x8 b1 k16",                         /* leading zeros */
      "conv 3x4x5 6x7x8 b01 k16",                         /* */
      "conv 3x4x5 6x7x8 b1 k016",                         /* */
      "conv +3x4x5 6x7x8 b1 k16",                         /* signs */
      "conv 3x4x5 6x7x8 b+1 k16",                         /* */
      "conv 3x4x5 6x7x8 b1 k-16",                         /* */
      "conv 3x 4x5 6x7x8 b1 k16",                         /* blanks */
      " conv 3x4x5 6x7x8 b1 k16",                         /* */
      "conv  3x4x5 6x7x8 b1 k16",                         /* */
      "conv 3x4x5 6x7x8  b1 k16",                         /* */
      "conv 3x4x5 6x7x8 b1 k16 ",                         /* */
      "conv 3x4x5 6x7x8 b1 k16\n",                        /* */
      "conv 3x4x5 6x7x8 b1 k16x",                         /* more */
      "conv 3x4x5 6x7x8 b0x1 k16",                        /* hexadecimal */
      "conv 3x4x5 6x7x8 b1.0 k16",                        /* no whole number */
      "conv 3x4x5 6x7x8 b k16",                           /* no number */
      "conv 3x4x5 6x7x8 b1 k",                            /* */
      "convolution 3x4x5 6x7x8 b1 k16",                   /* ops that there are not */
      "unknown 3x4x5 6x7x8 b1 k16",                       /* */
      "Conv 3x4x5 6x7x8 b1 k16",                          /* */
      "con 3x4x5 6x7x8 b1 k16",                           /* */
      "conv 3x4x5 6x7x8 Relu b1 k16",                     /* */
      "conv 18446744073709551616x4x5 6x7x8 b1 k16",       /* 2^64 */
      "conv 3x4x5 6x7x8 b99999999999999999999999999 k16", /* */
  };
  const algo_problem before = {.batch = 77};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    algo_problem found = before;
    if (algo_problem_parse(wrong[i], &found)) fail_msg("'%s' is read", wrong[i]);
    assert_int_equal(found.batch, 77);
  }
}

static void parameters_of_every_algorithm_read_back(void **state) {
  (void)state;
  for (size_t k = 0; k < algo_count(); k++) {
    const algo *a = algo_get(k);
    for (size_t value = 0; value < sizeof a->params->legal / sizeof *a->params->legal; value++) {
      int param[ALGO_MAX_PARAMS] = {0}, found[ALGO_MAX_PARAMS];
      char text[ALGO_PARAMS_BYTES];
      memset(found, 0xff, sizeof found);
      for (size_t i = 0; a->params && a->params[i].name; i++) param[i] = a->params[i].legal[value] + (int)i;
      algo_params_text(a, param, text, sizeof text);
      if (!algo_params_parse(a, text, found)) fail_msg("%s: '%s' is not read", a->name, text);
      assert_memory_equal(found, param, sizeof found);
      /* Nor with something behind it. */
      char more[ALGO_PARAMS_BYTES + 8];
      snprintf(more, sizeof more, "%s ", text);
      assert_false(algo_params_parse(a, more, found));
    }
  }
}

static void other_texts_are_no_parameters(void **state) {
  (void)state;
  const algo *a = algo_find("conv_f32_nchw_direct"), *none = algo_find("conv_f32_nchw_naive");
  static const char *const wrong[] = {
      "",
      "TILE_X=4",
      "TILE_X=4 TILE_Y=2",
      "TILE_Y=2 TILE_OC=8",
      "TILE_X=4 TILE_OC=8 TILE_Y=2",           /* another order */
      "TILE_X=4 TILE_Y=2 TILE_OC=8 TILE_OC=8", /* twice */
      "TILE_X=4 TILE_X=4 TILE_OC=8",           /* */
      "TILE_X=4 TILE_Y=2 TILE_OC=8 ",          /* blanks */
      " TILE_X=4 TILE_Y=2 TILE_OC=8",          /* */
      "TILE_X=4  TILE_Y=2 TILE_OC=8",          /* */
      "TILE_X =4 TILE_Y=2 TILE_OC=8",          /* */
      "TILE_X= 4 TILE_Y=2 TILE_OC=8",          /* */
      "TILE_X=4,TILE_Y=2,TILE_OC=8",           /* */
      "TILE_X=+4 TILE_Y=2 TILE_OC=8",          /* signs */
      "TILE_X=-4 TILE_Y=2 TILE_OC=8",          /* */
      "TILE_X=04 TILE_Y=2 TILE_OC=8",          /* leading zeros */
      "TILE_X=4 TILE_Y=2 TILE_OC=008",         /* */
      "TILE_X= TILE_Y=2 TILE_OC=8",            /* no number */
      "TILE_X=4 TILE_Y=2 TILE_OC=2147483648",  /* more than an int */
      "TILE_X=4 TILE_Y=2 TILE_OC=18446744073709551617",
      "tile_x=4 TILE_Y=2 TILE_OC=8",
      "TILE_W=4 TILE_Y=2 TILE_OC=8",
  };
  int found[ALGO_MAX_PARAMS] = {77};
  assert_true(algo_params_parse(a, "TILE_X=4 TILE_Y=2 TILE_OC=2147483647", found));
  assert_int_equal(found[2], INT_MAX);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    found[0] = 77;
    if (algo_params_parse(a, wrong[i], found)) fail_msg("'%s' is read", wrong[i]);
    assert_int_equal(found[0], 77);
  }
  assert_true(algo_params_parse(none, "", found));
  assert_int_equal(found[0], 0);
  assert_false(algo_params_parse(none, "TILE_X=4", found));
  assert_false(algo_params_parse(none, " ", found));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(problems_of_every_op_read_back), cmocka_unit_test(a_problem_is_written_as_the_header_says),
      cmocka_unit_test(other_texts_are_no_problems),    cmocka_unit_test(parameters_of_every_algorithm_read_back),
      cmocka_unit_test(other_texts_are_no_parameters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
