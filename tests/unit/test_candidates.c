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

/* ---- parameters */

static size_t legal_count(const algo_param *param) {
  size_t n = 0;
  while (n < sizeof param->legal / sizeof *param->legal && param->legal[n]) n++;
  return n;
}

/* Combination number of an algorithm's legal values; false beyond the last. */
static bool combination(const algo *a, size_t number, int *param) {
  memset(param, 0, ALGO_MAX_PARAMS * sizeof *param);
  for (size_t i = 0; a->params && a->params[i].name; i++) {
    const size_t legal = legal_count(&a->params[i]);
    param[i] = a->params[i].legal[number % legal];
    number /= legal;
  }
  return number == 0;
}

static void expect_no_twins(const candidates *c) {
  for (size_t i = 0; i < c->count; i++)
    assert_ptr_equal(candidates_find(c, c->list[i].algo, &c->list[i].problem, c->list[i].param), &c->list[i]);
}

/* Every legal set that the device supports, once, of all algorithms that are listed with parameters; and no other set. */
static void exhaustive_lists_every_legal_set_once(void **state) {
  (void)state;
  for (int type = CLVGG_DEVICE_CPU; type <= CLVGG_DEVICE_GPU; type++) {
    const clvgg_device_info dev = device((clvgg_device_type)type);
    layer layers[4];
    candidates c;
    make_layers(layers);
    assert_int_equal(candidates_make(&dev, layers, 4, 2, &(plan_options){0}, true, &c), CLVGG_OK);
    const algo_problem p = {.shape = layers[0].shape, .batch = 2, .block = algo_block(&dev)};
    expect_no_twins(&c);
    size_t listed = 0, sets = 0;
    for (size_t i = 0; i < c.count; i++) listed += costs_same_problem(&c.list[i].problem, &p);
    for (size_t k = 0; k < algo_count(); k++) {
      const algo *a = algo_get(k);
      int param[ALGO_MAX_PARAMS], chosen[ALGO_MAX_PARAMS] = {0};
      char why[ALGO_WHY_BYTES];
      if (a->op != LAYER_CONV || a->form != ALGO_F32 || a->in == ALGO_RGB8) continue;
      if (a->choose) a->choose(&dev, &p, chosen);
      for (size_t number = 0; combination(a, number, param); number++) {
        /* An algorithm without a model has its chosen set alone, as others have a model. */
        const bool modelled = isfinite(algo_cost(a, &dev, &p, chosen)) != 0;
        const bool expected =
            algo_supports(a, &dev, &p, param, why) && (modelled || memcmp(param, chosen, sizeof param) == 0);
        sets += expected;
        if ((candidates_find(&c, a, &p, param) != NULL) != expected)
          fail_msg("%s, set %zu: expected %d", a->name, number, expected);
        if (!a->params) break;
      }
    }
    assert_true(sets > 50);
    assert_int_equal(listed, sets);
    candidates_free(&c);
  }
}

/* The number of legal steps between two sets, each parameter's added up. */
static size_t steps_between(const algo *a, const int *from, const int *to) {
  size_t steps = 0;
  for (size_t i = 0; a->params[i].name; i++) {
    size_t at[2] = {0};
    while (a->params[i].legal[at[0]] != from[i]) at[0]++;
    while (a->params[i].legal[at[1]] != to[i]) at[1]++;
    steps += at[0] > at[1] ? at[0] - at[1] : at[1] - at[0];
  }
  return steps;
}

static void around_are_single_steps_and_none_twice(void **state) {
  (void)state;
  const clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  candidates c = make(CLVGG_DEVICE_GPU, &(plan_options){0});
  size_t at = 0;
  while (strcmp(c.list[at].algo->name, "conv_f32_nchw_tiled") != 0 || c.list[at].problem.shape.pool) at++;
  const candidate centre = c.list[at];
  const size_t before = c.count;
  size_t most_rank = 0, possible = 0;
  for (size_t i = 0; i < c.count; i++)
    if (costs_same_problem(&c.list[i].problem, &centre.problem) && c.list[i].rank > most_rank)
      most_rank = c.list[i].rank;
  int param[ALGO_MAX_PARAMS];
  for (size_t number = 0; combination(centre.algo, number, param); number++) {
    char why[ALGO_WHY_BYTES];
    possible += steps_between(centre.algo, centre.param, param) == 1 &&
                algo_supports(centre.algo, &gpu, &centre.problem, param, why);
  }
  assert_int_equal(candidates_add_around(&c, &gpu, at), CLVGG_OK);
  assert_true(possible >= 5);
  assert_int_equal(c.count, before + possible);
  for (size_t i = before; i < c.count; i++) {
    char why[ALGO_WHY_BYTES];
    const candidate *one = &c.list[i];
    assert_ptr_equal(one->algo, centre.algo);
    assert_true(costs_same_problem(&one->problem, &centre.problem));
    assert_int_equal(steps_between(one->algo, centre.param, one->param), 1);
    assert_true(algo_supports(one->algo, &gpu, &one->problem, one->param, why));
    assert_int_equal(one->rank, most_rank + 1 + i - before);
    assert_false(one->chosen);
    assert_int_equal(one->state, CANDIDATE_NEW);
  }
  assert_true(c.most >= most_rank + possible);
  /* Again: nothing. Around a neighbour: what is not there yet. */
  const size_t around = c.count;
  assert_int_equal(candidates_add_around(&c, &gpu, at), CLVGG_OK);
  assert_int_equal(c.count, around);
  assert_int_equal(candidates_add_around(&c, &gpu, before), CLVGG_OK);
  assert_true(c.count > around);
  expect_no_twins(&c);
  /* Without parameters there is nothing around. */
  const size_t all = c.count;
  for (at = 0; strcmp(c.list[at].algo->name, "conv_f32_nchw_naive") != 0;) at++;
  assert_int_equal(candidates_add_around(&c, &gpu, at), CLVGG_OK);
  assert_int_equal(c.count, all);
  candidates_free(&c);
}

static void others_candidates_are_taken_where_they_fit(void **state) {
  (void)state;
  const clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  const plan_options plain = {0};
  candidates c = make(CLVGG_DEVICE_GPU, &plain);
  const algo *tiled = algo_find("conv_f32_nchw_tiled");
  size_t at = 0;
  while (c.list[at].algo != tiled) at++;
  const algo_problem p = c.list[at].problem;
  const size_t before = c.count;
  /* One that is there is the one that is there. */
  assert_ptr_equal(candidates_take(&c, &gpu, &plain, tiled, &p, c.list[at].param), &c.list[at]);
  assert_int_equal(c.count, before);
  /* Another is added as the last. */
  int param[ALGO_MAX_PARAMS] = {8, 4, 1, 2, 1};
  candidate *one = candidates_take(&c, &gpu, &plain, tiled, &p, param);
  assert_non_null(one);
  assert_int_equal(c.count, before + 1);
  assert_memory_equal(one->param, param, sizeof param);
  for (size_t i = 0; i + 1 < c.count; i++)
    if (costs_same_problem(&c.list[i].problem, &p)) assert_true(c.list[i].rank < one->rank);
  assert_ptr_equal(candidates_take(&c, &gpu, &plain, tiled, &p, param), one);
  /* Not supported, illegal, of another op, of a problem that the network does not have. */
  const int large[ALGO_MAX_PARAMS] = {32, 16, 1, 2, 1}, illegal[ALGO_MAX_PARAMS] = {3, 4, 1, 2, 1};
  const int none[ALGO_MAX_PARAMS] = {0};
  algo_problem elsewhere = p;
  elsewhere.batch = 3;
  assert_null(candidates_take(&c, &gpu, &plain, tiled, &p, large));
  assert_null(candidates_take(&c, &gpu, &plain, tiled, &p, illegal));
  assert_null(candidates_take(&c, &gpu, &plain, algo_find("fc_f32_naive"), &p, none));
  assert_null(candidates_take(&c, &gpu, &plain, tiled, &elsewhere, param));
  /* Not allowed. */
  bool excluded[64] = {false};
  for (size_t i = 0; i < algo_count(); i++) excluded[i] = algo_get(i) == tiled;
  param[0] = 4;
  assert_null(candidates_take(&c, &gpu, &(plan_options){.excluded = excluded}, tiled, &p, param));
  assert_int_equal(c.count, before + 1);
  assert_non_null(candidates_take(&c, &gpu, &plain, tiled, &p, param));
  candidates_free(&c);
}

/* Pixels are only what a network is given that asks for them. */
static void pixels_are_only_for_networks_that_take_them(void **state) {
  (void)state;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  layer layers[4];
  make_layers(layers);
  layers[0].shape.in.c = 3;
  for (int rgb8 = 0; rgb8 < 2; rgb8++) {
    const plan_options wishes = {.rgb8 = rgb8};
    candidates c;
    assert_int_equal(candidates_make(&cpu, layers, 4, 1, &wishes, false, &c), CLVGG_OK);
    size_t takes_pixels = 0;
    for (size_t i = 0; i < c.count; i++) takes_pixels += c.list[i].algo->in == ALGO_RGB8;
    assert_int_equal(takes_pixels > 0, rgb8);
    assert_int_equal(count(&c, "conv_u8_nhwc_nchwc_direct", false) > 0, rgb8);
    assert_int_equal(count(&c, "convert_u8_nhwc_nchw", false) > 0, rgb8);
    const algo *a = algo_find("conv_u8_nhwc_nchwc_direct");
    const algo_problem p = {.shape = layers[0].shape, .batch = 1, .block = 16};
    const int param[ALGO_MAX_PARAMS] = {4, 1};
    assert_int_equal(candidates_take(&c, &cpu, &wishes, a, &p, param) != NULL, rgb8);
    candidates_free(&c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_cpus_are_those_with_a_model_and_their_neighbours),
      cmocka_unit_test(tiny_problems_have_all_algorithms),
      cmocka_unit_test(without_models_all_supported_ones_are_measured_once),
      cmocka_unit_test(wishes_are_kept),
      cmocka_unit_test(exhaustive_lists_every_legal_set_once),
      cmocka_unit_test(around_are_single_steps_and_none_twice),
      cmocka_unit_test(others_candidates_are_taken_where_they_fit),
      cmocka_unit_test(pixels_are_only_for_networks_that_take_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
