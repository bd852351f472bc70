/* Measured times: the table's keys, and the plan that follows them. Devices are made up: no OpenCL is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <math.h>

#include "plan/plan.h"

#define PEAK 1e11 /* operations a second */

static const clvgg_device_info cpu = {.name = "made up",
                                      .type = CLVGG_DEVICE_CPU,
                                      .compute_units = 8,
                                      .global_bytes = (uint64_t)8 << 30,
                                      .max_alloc_bytes = (uint64_t)2 << 30,
                                      .local_bytes = 32768,
                                      .max_work_group = 256,
                                      .max_work_item = {256, 256, 256},
                                      .native_float_width = 16,
                                      .preferred_float_width = 16,
                                      .base_align_bytes = 128,
                                      .usable = 1};

/* conv 64 -> 64 at 32x32, pool, fc */
static void make_layers(layer out[3]) {
  memset(out, 0, 3 * sizeof *out);
  strcpy(out[0].name, "conv1_2");
  out[0].shape = (layer_shape){.op = LAYER_CONV, .relu = true, .in = {64, 32, 32}, .out = {64, 32, 32}};
  strcpy(out[1].name, "pool1");
  out[1].shape = (layer_shape){.op = LAYER_MAXPOOL, .in = {64, 32, 32}, .out = {64, 16, 16}};
  strcpy(out[2].name, "fc6");
  out[2].shape = (layer_shape){.op = LAYER_FC, .in = {64, 16, 16}, .out = {10, 1, 1}};
}

static algo_problem conv_problem(size_t batch) {
  layer layers[3];
  make_layers(layers);
  return (algo_problem){.shape = layers[0].shape, .batch = batch, .block = algo_block(&cpu)};
}

/* The step that computes the first convolution, with the plan's times. */
static plan_step first_conv(const plan_costs *measured, size_t batch) {
  layer layers[3];
  plan p;
  plan_step found = {0};
  make_layers(layers);
  assert_int_equal(plan_make(&cpu, layers, 3, batch, &(plan_options){.measured = measured}, &p), CLVGG_OK);
  for (size_t i = 0; i < p.count; i++)
    if (p.steps[i].algo->op == LAYER_CONV) found = p.steps[i];
  plan_free(&p);
  assert_non_null(found.algo);
  return found;
}

static void the_key_is_algorithm_problem_and_parameters(void **state) {
  (void)state;
  plan_costs t = {.flops_per_s = PEAK};
  const algo *fused = algo_find("conv_f32_nchwc_winograd_fused"), *staged = algo_find("conv_f32_nchwc_winograd");
  const algo_problem p = conv_problem(1);
  const int a[ALGO_MAX_PARAMS] = {4, 14, 2, 1}, b[ALGO_MAX_PARAMS] = {6, 14, 2, 1};
  assert_null(costs_find(&t, fused, &p, a));
  assert_int_equal(costs_add(&t, fused, &p, a, 3e-3), CLVGG_OK);
  assert_int_equal(costs_add(&t, fused, &p, b, 2e-3), CLVGG_OK);
  assert_int_equal(t.count, 2);
  assert_true(costs_find(&t, fused, &p, a)->seconds == 3e-3);
  assert_true(costs_find(&t, fused, &p, b)->seconds == 2e-3);
  assert_null(costs_find(&t, staged, &p, a));
  /* Each part of the problem counts. */
  algo_problem others[] = {p, p, p, p, p, p};
  others[0].batch = 2;
  others[1].block = 8;
  others[2].shape.in.c = 32;
  others[3].shape.out.c = 128;
  others[4].shape.relu = false;
  others[5].shape.pool = true;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_null(costs_find(&t, fused, &others[i], a));
  /* Padding does not. */
  algo_problem same;
  memset(&same, 0xff, sizeof same);
  same.batch = p.batch, same.block = p.block;
  same.shape.op = p.shape.op, same.shape.relu = p.shape.relu, same.shape.pool = p.shape.pool;
  same.shape.in = p.shape.in, same.shape.out = p.shape.out;
  assert_non_null(costs_find(&t, fused, &same, a));
  /* Nor do numbers beyond the algorithm's parameters. */
  const int longer[ALGO_MAX_PARAMS] = {4, 14, 2, 1, 99};
  assert_non_null(costs_find(&t, fused, &p, longer));
  costs_free(&t);
  assert_int_equal(t.count, 0);
}

static void the_least_of_equal_keys_counts(void **state) {
  (void)state;
  plan_costs t = {.flops_per_s = PEAK};
  const algo *a = algo_find("conv_f32_nchwc_direct");
  const algo_problem p = conv_problem(1);
  const int param[ALGO_MAX_PARAMS] = {14, 2};
  static const double seconds[] = {3, 2, 4};
  for (size_t i = 0; i < 3; i++) assert_int_equal(costs_add(&t, a, &p, param, seconds[i]), CLVGG_OK);
  assert_int_equal(t.count, 1);
  assert_true(costs_find(&t, a, &p, param)->seconds == 2);
  static const double wrong[] = {-1, INFINITY, NAN};
  for (size_t i = 0; i < 3; i++) assert_int_equal(costs_add(&t, a, &p, param, wrong[i]), CLVGG_ERROR_ARGUMENT);
  assert_true(costs_find(&t, a, &p, param)->seconds == 2);
  costs_free(&t);
}

static void entries_of_a_problem_are_listed_and_removed(void **state) {
  (void)state;
  plan_costs t = {.flops_per_s = PEAK};
  const algo *a = algo_find("conv_f32_nchwc_direct");
  /* More than the table's first capacity, of two problems in turns. */
  const algo_problem problems[] = {conv_problem(1), conv_problem(2)};
  for (int i = 0; i < 200; i++)
    assert_int_equal(costs_add(&t, a, &problems[i % 2], (const int[ALGO_MAX_PARAMS]){i, 1}, i), CLVGG_OK);
  int expected = 1;
  for (const plan_cost *c = costs_next(&t, a, &problems[1], NULL); c; c = costs_next(&t, a, &problems[1], c)) {
    assert_int_equal(c->param[0], expected);
    expected += 2;
  }
  assert_int_equal(expected, 201);
  assert_true(costs_remove(&t, a, &problems[1], (const int[ALGO_MAX_PARAMS]){101, 1}));
  assert_false(costs_remove(&t, a, &problems[1], (const int[ALGO_MAX_PARAMS]){101, 1}));
  assert_int_equal(t.count, 199);
  for (int i = 0; i < 200; i++) {
    const plan_cost *c = costs_find(&t, a, &problems[i % 2], (const int[ALGO_MAX_PARAMS]){i, 1});
    if (i == 101)
      assert_null(c);
    else
      assert_true(c && c->seconds == i);
  }
  costs_free(&t);
}

static void a_measured_time_changes_the_plan_and_its_removal_restores_it(void **state) {
  (void)state;
  plan_costs t = {.flops_per_s = PEAK};
  const plan_step before = first_conv(NULL, 1);
  assert_string_equal(before.source, "model");
  /* The slowest algorithm that there is, measured as the fastest. */
  const algo *naive = algo_find("conv_f32_nchw_naive");
  assert_ptr_not_equal(before.algo, naive);
  const algo_problem p = conv_problem(1);
  int param[ALGO_MAX_PARAMS] = {0};
  if (naive->choose) naive->choose(&cpu, &p, param);
  assert_int_equal(costs_add(&t, naive, &p, param, 1e-9), CLVGG_OK);
  const plan_step measured = first_conv(&t, 1);
  assert_ptr_equal(measured.algo, naive);
  assert_string_equal(measured.source, "measured");
  assert_true(fabs(measured.cost - 1e-9 * PEAK) < 1e-6);
  assert_true(costs_remove(&t, naive, &p, param));
  const plan_step after = first_conv(&t, 1);
  assert_ptr_equal(after.algo, before.algo);
  assert_memory_equal(after.param, before.param, sizeof after.param);
  assert_string_equal(after.source, "model");
  costs_free(&t);
}

static void measured_parameters_replace_the_rules(void **state) {
  (void)state;
  plan_costs t = {.flops_per_s = PEAK};
  const algo *direct = algo_find("conv_f32_nchwc_direct");
  const algo_problem p = conv_problem(1);
  int chosen[ALGO_MAX_PARAMS] = {0};
  direct->choose(&cpu, &p, chosen);
  const int other[ALGO_MAX_PARAMS] = {4, 1};
  assert_memory_not_equal(chosen, other, sizeof chosen);
  assert_int_equal(costs_add(&t, direct, &p, chosen, 2e-9), CLVGG_OK);
  assert_int_equal(costs_add(&t, direct, &p, other, 1e-9), CLVGG_OK);
  const plan_step step = first_conv(&t, 1);
  assert_ptr_equal(step.algo, direct);
  assert_memory_equal(step.param, other, sizeof other);
  /* What the algorithm refuses stays refused, however fast. */
  assert_int_equal(costs_add(&t, direct, &p, (const int[ALGO_MAX_PARAMS]){5, 1}, 1e-12), CLVGG_OK);
  assert_memory_equal(first_conv(&t, 1).param, other, sizeof other);
  costs_free(&t);
}

static void a_slow_time_drives_the_modelled_choice_out(void **state) {
  (void)state;
  plan_costs t = {.flops_per_s = PEAK};
  const plan_step before = first_conv(NULL, 1);
  assert_int_equal(costs_add(&t, before.algo, &before.problem, before.param, 1e3), CLVGG_OK);
  const plan_step after = first_conv(&t, 1);
  assert_true(after.algo != before.algo || !costs_same_problem(&after.problem, &before.problem));
  costs_free(&t);
}

static void other_batches_and_shapes_do_not_count(void **state) {
  (void)state;
  plan_costs t = {.flops_per_s = PEAK};
  const algo *naive = algo_find("conv_f32_nchw_naive");
  algo_problem batch = conv_problem(2), shape = conv_problem(1);
  shape.shape.in.h = shape.shape.out.h = 30;
  int param[ALGO_MAX_PARAMS] = {0};
  if (naive->choose) naive->choose(&cpu, &batch, param);
  assert_int_equal(costs_add(&t, naive, &batch, param, 1e-9), CLVGG_OK);
  assert_int_equal(costs_add(&t, naive, &shape, param, 1e-9), CLVGG_OK);
  assert_ptr_equal(first_conv(&t, 1).algo, first_conv(NULL, 1).algo);
  assert_ptr_equal(first_conv(&t, 2).algo, naive);
  costs_free(&t);
}

static void the_scale_weighs_times_against_models(void **state) {
  (void)state;
  /* A time that is the model's cost on a slow device, and a thousand times that on a fast one. */
  const plan_step before = first_conv(NULL, 1);
  const algo *naive = algo_find("conv_f32_nchw_naive");
  const algo_problem p = conv_problem(1);
  int param[ALGO_MAX_PARAMS] = {0};
  if (naive->choose) naive->choose(&cpu, &p, param);
  plan_costs t = {.flops_per_s = before.cost};
  assert_int_equal(costs_add(&t, naive, &p, param, 1e-3), CLVGG_OK);
  assert_ptr_equal(first_conv(&t, 1).algo, naive);
  t.flops_per_s *= 1e6;
  assert_ptr_equal(first_conv(&t, 1).algo, before.algo);
  costs_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_key_is_algorithm_problem_and_parameters),
      cmocka_unit_test(the_least_of_equal_keys_counts),
      cmocka_unit_test(entries_of_a_problem_are_listed_and_removed),
      cmocka_unit_test(a_measured_time_changes_the_plan_and_its_removal_restores_it),
      cmocka_unit_test(measured_parameters_replace_the_rules),
      cmocka_unit_test(a_slow_time_drives_the_modelled_choice_out),
      cmocka_unit_test(other_batches_and_shapes_do_not_count),
      cmocka_unit_test(the_scale_weighs_times_against_models),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
