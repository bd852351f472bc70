/* What is worth measuring, on made-up devices: no OpenCL is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <math.h>

#include "tune/candidates.h"
#include "unit/made_up_device.h"

/* Two equal convolutions, a pooling, a small fully connected layer. */
static void make_layers(layer out[4]) {
  memset(out, 0, 4 * sizeof *out);
  const shape3 wide = {128, 56, 56}, half = {128, 28, 28};
  out[0].shape = out[1].shape = (layer_shape){.op = LAYER_CONV, .relu = true, .in = wide, .out = wide};
  out[2].shape = (layer_shape){.op = LAYER_MAXPOOL, .in = wide, .out = half};
  out[3].shape = (layer_shape){.op = LAYER_FC, .in = half, .out = {10, 1, 1}};
}

static candidates make(clvgg_device_type type, const plan_options *wishes) {
  const clvgg_device_info dev = device(type);
  layer layers[4];
  candidates c;
  make_layers(layers);
  assert_int_equal(candidates_make(&dev, layers, 4, 2, wishes, false, &c), CLVGG_OK);
  return c;
}

static size_t count(const candidates *c, const char *name, bool pool) {
  size_t found = 0;
  for (size_t i = 0; i < c->count; i++)
    found += strcmp(c->list[i].algo->name, name) == 0 && c->list[i].problem.shape.pool == pool;
  return found;
}

static void a_cpus_are_those_with_a_model_and_their_neighbours(void **state) {
  (void)state;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  candidates c = make(CLVGG_DEVICE_CPU, &(plan_options){0});
  for (int pool = 0; pool < 2; pool++) {
    assert_true(count(&c, "conv_f32_nchwc_winograd", pool) >= 1);
    assert_true(count(&c, "conv_f32_nchwc_winograd_fused", pool) >= 1);
    assert_true(count(&c, "conv_f32_nchwc_winograd", pool) + count(&c, "conv_f32_nchwc_winograd_fused", pool) > 2);
  }
  assert_true(count(&c, "conv_f32_nchwc_direct", false) >= 1);
  assert_int_equal(count(&c, "conv_f32_nchw_naive", false), 0);
  assert_int_equal(count(&c, "conv_f32_nchw_tiled", false), 0);
  for (size_t i = 0; i < c.count; i++) {
    const candidate *one = &c.list[i];
    char why[ALGO_WHY_BYTES];
    assert_int_equal(one->state, CANDIDATE_NEW);
    assert_int_equal(one->problem.batch, 2);
    assert_true(algo_supports(one->algo, &cpu, &one->problem, one->param, why));
    /* Each is its own key: equal layers and equal parameters come once. */
    assert_ptr_equal(candidates_find(&c, one->algo, &one->problem, one->param), one);
    double best = INFINITY;
    for (size_t k = 0; k < c.count; k++) {
      if (!costs_same_problem(&c.list[k].problem, &one->problem)) continue;
      best = fmin(best, c.list[k].cost);
      if (c.list[k].rank < one->rank) assert_true(c.list[k].chosen >= one->chosen);
      assert_true(k == i || c.list[k].rank != one->rank);
    }
    if (!one->chosen) assert_true(one->algo->cost(&cpu, &one->problem, one->param) <= 1.6 * best);
    assert_true(one->rank >= 1 && one->rank <= c.most);
  }
  candidates_free(&c);
  assert_int_equal(c.count, 0);
}

/* Their time is the launch's, of which no model knows. */
static void tiny_problems_have_all_algorithms(void **state) {
  (void)state;
  candidates c = make(CLVGG_DEVICE_CPU, &(plan_options){0});
  assert_true(count(&c, "fc_f32_naive", false) == 1 && count(&c, "fc_f32_nchwc_gemv", false) >= 1);
  assert_true(count(&c, "maxpool_f32_nchw_naive", false) == 1 && count(&c, "maxpool_f32_nchwc_naive", false) == 1);
  candidates_free(&c);
}

static void without_models_all_supported_ones_are_measured_once(void **state) {
  (void)state;
  candidates c = make(CLVGG_DEVICE_GPU, &(plan_options){0});
  assert_int_equal(count(&c, "conv_f32_nchw_naive", false), 1);
  assert_int_equal(count(&c, "conv_f32_nchw_tiled", false), 1);
  assert_int_equal(count(&c, "conv_f32_nchw_direct", false), 1);
  assert_int_equal(count(&c, "conv_f32_nchw_naive", true), 0);
  candidates_free(&c);
}

static void wishes_are_kept(void **state) {
  (void)state;
  bool excluded[64] = {false};
  for (size_t i = 0; i < algo_count(); i++) excluded[i] = strstr(algo_get(i)->name, "winograd") != NULL;
  candidates plain = make(CLVGG_DEVICE_CPU, &(plan_options){.excluded = excluded});
  candidates half = make(CLVGG_DEVICE_CPU, &(plan_options){.form = ALGO_F16});
  assert_int_equal(count(&plain, "conv_f32_nchwc_winograd", false), 0);
  assert_int_equal(count(&plain, "fc_f16w_nchwc_gemv", false), 0);
  assert_true(count(&half, "fc_f16w_nchwc_gemv", false) >= 1);
  candidates_free(&plain);
  candidates_free(&half);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_cpus_are_those_with_a_model_and_their_neighbours),
      cmocka_unit_test(tiny_problems_have_all_algorithms),
      cmocka_unit_test(without_models_all_supported_ones_are_measured_once),
      cmocka_unit_test(wishes_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
