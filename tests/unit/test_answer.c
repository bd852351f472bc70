/* clvgg_top_k: order, ties, NaN, softmax. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clvgg/clvgg.h"

static void orders_by_score_then_index(void **state) {
  (void)state;
  const float logits[] = {1, 5, -2, 5, 3};
  size_t index[5];
  assert_int_equal(clvgg_top_k(logits, 5, 3, index, NULL), 3);
  assert_int_equal(index[0], 1);
  assert_int_equal(index[1], 3);
  assert_int_equal(index[2], 4);
}

static void probabilities_are_softmax_over_all(void **state) {
  (void)state;
  const float logits[] = {0, 0.6931472f /* ln 2 */, 0};
  size_t index[3];
  float p[3];
  assert_int_equal(clvgg_top_k(logits, 3, 2, index, p), 2);
  assert_int_equal(index[0], 1);
  assert_true(fabsf(p[0] - 0.5f) < 1e-6f);
  assert_true(fabsf(p[1] - 0.25f) < 1e-6f);
}

static void huge_scores_do_not_overflow(void **state) {
  (void)state;
  const float logits[] = {3e38f, -3e38f};
  size_t index[2];
  float p[2];
  clvgg_top_k(logits, 2, 2, index, p);
  assert_true(p[0] == 1 && p[1] == 0);
}

static void nan_orders_last(void **state) {
  (void)state;
  const float logits[] = {NAN, -INFINITY, 2, NAN};
  size_t index[4];
  float p[4];
  assert_int_equal(clvgg_top_k(logits, 4, 9, index, p), 4);
  const size_t want[] = {2, 1, 0, 3};
  for (int i = 0; i < 4; i++) assert_int_equal(index[i], want[i]);
  assert_true(p[0] == 1 && isnan(p[3]));
}

static void nothing_asked_nothing_written(void **state) {
  (void)state;
  const float logits[] = {1};
  size_t index[1] = {77};
  assert_int_equal(clvgg_top_k(logits, 1, 0, index, NULL), 0);
  assert_int_equal(clvgg_top_k(logits, 0, 1, index, NULL), 0);
  assert_int_equal(clvgg_top_k(NULL, 1, 1, index, NULL), 0);
  assert_int_equal(index[0], 77);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(orders_by_score_then_index),
                                     cmocka_unit_test(probabilities_are_softmax_over_all),
                                     cmocka_unit_test(huge_scores_do_not_overflow), cmocka_unit_test(nan_orders_last),
                                     cmocka_unit_test(nothing_asked_nothing_written)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
