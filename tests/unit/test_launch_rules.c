/* From what a device says of itself to its class, and from the class to parameters of launches, on made-up devices. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "algo/algo.h"
#include "algo/rules.h"
#include "unit/made_up_device.h"

static void devices_have_their_class(void **state) {
  (void)state;
  static const struct {
    clvgg_device_type type;
    unsigned lanes;
    int unified, rasteriser;
    const char *expected;
  } cases[] = {
      {CLVGG_DEVICE_CPU, 0, 1, 0, "CPU"},
      {CLVGG_DEVICE_CPU, 16, 0, 0, "CPU"},
      {CLVGG_DEVICE_GPU, 32, 1, 1, "CPU"},
      {CLVGG_DEVICE_GPU, 0, 0, 0, "GPU with its own memory, 32 lanes"},
      {CLVGG_DEVICE_GPU, 32, 0, 0, "GPU with its own memory, 32 lanes"},
      {CLVGG_DEVICE_GPU, 64, 0, 0, "GPU with its own memory, 64 lanes"},
      {CLVGG_DEVICE_GPU, 128, 0, 0, "GPU with its own memory, 64 lanes"},
      {CLVGG_DEVICE_GPU, 16, 0, 0, "GPU with its own memory, fewer than 32 lanes"},
      {CLVGG_DEVICE_GPU, 1, 1, 0, "GPU that shares the host's memory, fewer than 32 lanes"},
      {CLVGG_DEVICE_GPU, 0, 1, 0, "GPU that shares the host's memory, 32 lanes"},
      {CLVGG_DEVICE_GPU, 64, 1, 0, "GPU that shares the host's memory, 64 lanes"},
      {CLVGG_DEVICE_ACCELERATOR, 0, 0, 0, "GPU with its own memory, 32 lanes"},
      {CLVGG_DEVICE_OTHER, 8, 1, 0, "GPU that shares the host's memory, fewer than 32 lanes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    clvgg_device_info dev = device(cases[i].type);
    dev.lanes = cases[i].lanes;
    dev.unified_memory = cases[i].unified;
    dev.software_rasteriser = cases[i].rasteriser;
    assert_string_equal(rules_for(&dev)->device_class, cases[i].expected);
  }
}

/* The parameter that algorithm a has for an fc layer of inputs and outputs, or for a convolution of 64 channels. */
static int chosen(const char *name, const char *param_name, const clvgg_device_info *dev, const layer_shape *shape,
                  size_t batch) {
  const algo *a = algo_find(name);
  const algo_problem p = {.shape = *shape, .batch = batch, .block = algo_block(dev)};
  int param[ALGO_MAX_PARAMS] = {0};
  char why[ALGO_WHY_BYTES] = "";
  a->choose(dev, &p, param);
  if (!algo_supports(a, dev, &p, param, why)) fail_msg("%s: %s", name, why);
  for (size_t i = 0; a->params[i].name; i++)
    if (strcmp(a->params[i].name, param_name) == 0) return param[i];
  fail_msg("%s has no %s", name, param_name);
  return 0;
}

static void few_outputs_are_spread_over_the_device(void **state) {
  (void)state;
  const layer_shape wide = {.op = LAYER_FC, .in = {4096, 1, 1}, .out = {4096, 1, 1}};
  const layer_shape narrow = {.op = LAYER_FC, .in = {4096, 1, 1}, .out = {1000, 1, 1}};
  clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  gpu.compute_units =
      40; /* want 40,960 work-items: 4096 rows have them in groups of 64 for 4, 1000 rows in groups for 1 */
  assert_int_equal(chosen("fc_f32_tiled", "ROWS", &gpu, &wide, 1), 4);
  assert_int_equal(chosen("fc_f32_tiled", "ROWS", &gpu, &narrow, 1), 1);
  gpu.compute_units = 8;
  assert_int_equal(chosen("fc_f32_tiled", "ROWS", &gpu, &narrow, 1), 4);
  /* A batch shares weights, up to what the class keeps in registers. */
  assert_int_equal(chosen("fc_f32_tiled", "IMAGES", &gpu, &wide, 5), 4);
  assert_int_equal(chosen("fc_f32_tiled", "IMAGES", &gpu, &wide, 64), 8);
  gpu.unified_memory = 1;
  assert_int_equal(chosen("fc_f32_tiled", "IMAGES", &gpu, &wide, 64), 4);
  /* Sixteen bytes at a time. */
  assert_int_equal(chosen("fc_f32_tiled", "WIDTH", &gpu, &wide, 1), 4);
  assert_int_equal(chosen("fc_f16w_tiled", "WIDTH", &gpu, &wide, 1), 8);
}

static void subgroups_are_used_where_there_are_some(void **state) {
  (void)state;
  const layer_shape wide = {.op = LAYER_FC, .in = {4096, 1, 1}, .out = {4096, 1, 1}};
  const algo_problem p = {.shape = wide, .batch = 1};
  clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  int param[ALGO_MAX_PARAMS] = {0};
  char why[ALGO_WHY_BYTES] = "";
  algo_find("fc_f32_subgroup")->choose(&gpu, &p, param);
  assert_false(algo_supports(algo_find("fc_f32_subgroup"), &gpu, &p, param, why));
  assert_non_null(strstr(why, "no sub-groups"));
  gpu.subgroups = 1;
  assert_int_equal(chosen("fc_f32_subgroup", "GROUP", &gpu, &wide, 1), 128);
  gpu.lanes = 16;
  assert_int_equal(chosen("fc_f32_subgroup", "GROUP", &gpu, &wide, 1), 64);
  /* Not preferred before it was measured. */
  algo_find("fc_f32_subgroup")->choose(&gpu, &p, param);
  const double cost = algo_cost(algo_find("fc_f32_subgroup"), &gpu, &p, param);
  algo_find("fc_f32_tiled")->choose(&gpu, &p, param);
  assert_true(cost > algo_cost(algo_find("fc_f32_tiled"), &gpu, &p, param));
}

/* In the order of the bytes that weights take, of which there is a model on GPUs only. */
static void smaller_weights_are_modelled_as_faster(void **state) {
  (void)state;
  static const char *const names[] = {"fc_f16w_tiled", "fc_f24w_tiled", "fc_f32_tiled"};
  const layer_shape fc6 = {.op = LAYER_FC, .in = {512, 7, 7}, .out = {4096, 1, 1}};
  const clvgg_device_info gpu = device(CLVGG_DEVICE_GPU), cpu = device(CLVGG_DEVICE_CPU);
  for (size_t batch = 1; batch <= 16; batch *= 4) {
    const algo_problem p = {.shape = fc6, .batch = batch, .block = 16};
    double before = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
      int param[ALGO_MAX_PARAMS] = {0};
      const algo *a = algo_find(names[i]);
      a->choose(&gpu, &p, param);
      const double cost = algo_cost(a, &gpu, &p, param);
      assert_true(cost > before);
      before = cost;
      a->choose(&cpu, &p, param);
      assert_true(isinf(algo_cost(a, &cpu, &p, param)));
    }
  }
}

/* A GPU as Intel's Arc A770 or B580: units, and sub-groups. */
static clvgg_device_info arc(unsigned units, unsigned smallest) {
  clvgg_device_info d = device(CLVGG_DEVICE_GPU);
  d.compute_units = units;
  d.lanes = 16;
  d.local_bytes = 65536;
  d.max_work_group = d.max_work_item[0] = d.max_work_item[1] = d.max_work_item[2] = 1024;
  d.fp16 = d.subgroups = d.intel_matrix_multiply = 1;
  for (size_t i = 0; smallest << i <= 32; i++) d.sub_group_sizes[i] = smallest << i;
  return d;
}

/* Products of halves by matrix engines are modelled as faster than by the others, on GPUs only, with tiles that leave registers. */
static void matrix_engines_are_modelled_as_faster(void **state) {
  (void)state;
  const layer_shape layers[] = {{.op = LAYER_CONV, .in = {64, 224, 224}, .out = {64, 224, 224}},
                                {.op = LAYER_CONV, .in = {256, 56, 56}, .out = {256, 56, 56}},
                                {.op = LAYER_CONV, .in = {512, 14, 14}, .out = {512, 14, 14}}};
  static const char *const names[] = {"conv_f16_nchw_dpas", "conv_f16_nchw_implicit_gemm",
                                      "conv_f32_nchw_implicit_gemm"};
  const clvgg_device_info gpus[] = {arc(512, 8), arc(160, 16)};
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  for (size_t g = 0; g < 2; g++)
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++)
      for (size_t batch = 1; batch <= 16; batch *= 4) {
        const algo_problem p = {.shape = layers[l], .batch = batch, .block = 4};
        double before = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
          const algo *a = algo_find(names[i]);
          int param[ALGO_MAX_PARAMS] = {0};
          a->choose(&gpus[g], &p, param);
          const double cost = algo_cost(a, &gpus[g], &p, param);
          assert_true(cost > before);
          before = cost;
          assert_true(isinf(algo_cost(a, &cpu, &p, param)));
        }
        assert_int_equal(chosen(names[0], "SUBGROUP", &gpus[g], &layers[l], batch), g ? 16 : 8);
        assert_in_range(chosen(names[0], "BLOCKS_OC", &gpus[g], &layers[l], batch), 1, 2);
      }
}

static void tiles_suit_small_layers_and_small_gpus(void **state) {
  (void)state;
  const layer_shape large = {.op = LAYER_CONV, .in = {64, 224, 224}, .out = {64, 224, 224}};
  const layer_shape little = {.op = LAYER_CONV, .in = {512, 14, 14}, .out = {512, 14, 14}};
  clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  assert_int_equal(chosen("conv_f32_nchw_tiled", "ITEM_OC", &gpu, &large, 1), 16);
  assert_int_equal(chosen("conv_f32_nchw_tiled", "GROUP_Y", &gpu, &large, 1), 8);
  assert_int_equal(chosen("conv_f32_nchw_tiled", "ITEM_OC", &gpu, &little, 1), 16); /* 64 groups for 8 units */
  gpu.compute_units = 100;
  assert_int_equal(chosen("conv_f32_nchw_tiled", "ITEM_OC", &gpu, &little, 1), 8); /* 128 groups for 100 units */
  assert_int_equal(chosen("conv_f32_nchw_tiled", "ITEM_OC", &gpu, &little, 8), 16);
  gpu.unified_memory = 1;
  gpu.lanes = 16;
  assert_int_equal(chosen("conv_f32_nchw_tiled", "ITEM_OC", &gpu, &large, 1), 8);
  assert_int_equal(chosen("conv_f32_nchw_tiled", "GROUP_Y", &gpu, &large, 1), 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(devices_have_their_class),
      cmocka_unit_test(few_outputs_are_spread_over_the_device),
      cmocka_unit_test(subgroups_are_used_where_there_are_some),
      cmocka_unit_test(smaller_weights_are_modelled_as_faster),
      cmocka_unit_test(matrix_engines_are_modelled_as_faster),
      cmocka_unit_test(tiles_suit_small_layers_and_small_gpus),
  };
  return cmocka_run_group_tests_name("launch rules", tests, NULL, NULL);
}
