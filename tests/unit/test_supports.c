/* What parameters need of a device, checked before anything is built: the reason names what is needed and what there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "algo/algo.h"
#include "unit/made_up_device.h"

static const layer_shape conv = {.op = LAYER_CONV, .relu = true, .in = {64, 56, 56}, .out = {64, 56, 56}};
static const layer_shape fc = {.op = LAYER_FC, .in = {512, 7, 7}, .out = {4096, 1, 1}};

static bool supports(const char *name, const clvgg_device_info *dev, const layer_shape *shape, size_t block,
                     const int *param, char *why) {
  const algo_problem p = {.shape = *shape, .batch = 1, .block = block};
  int all[ALGO_MAX_PARAMS] = {0};
  const algo *a = algo_find(name);
  assert_non_null(a);
  for (size_t i = 0; a->params && a->params[i].name; i++) all[i] = param[i];
  why[0] = '\0';
  return algo_supports(a, dev, &p, all, why);
}

static void expect_reason(const char *why, const char *part) {
  if (!strstr(why, part)) fail_msg("'%s' does not say '%s'", why, part);
}

static void groups_are_within_the_devices(void **state) {
  (void)state;
  char why[ALGO_WHY_BYTES];
  const int tiled[] = {16, 8, 2, 8, 4}; /* 128 work-items */
  clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  gpu.max_work_group = 128;
  assert_true(supports("conv_f32_nchw_tiled", &gpu, &conv, 4, tiled, why));
  gpu.max_work_group = 127;
  assert_false(supports("conv_f32_nchw_tiled", &gpu, &conv, 4, tiled, why));
  expect_reason(why, "a work-group of 16 x 8 x 1 exceeds the device's limit of 127");
  /* Each dimension by itself. */
  gpu.max_work_group = 256;
  gpu.max_work_item[0] = 15;
  assert_false(supports("conv_f32_nchw_tiled", &gpu, &conv, 4, tiled, why));
  expect_reason(why, "16 x 8 x 1");
  expect_reason(why, "(15 x 256 x 256)");
  gpu.max_work_item[0] = 16;
  gpu.max_work_item[1] = 7;
  assert_false(supports("conv_f32_nchw_tiled", &gpu, &conv, 4, tiled, why));
  expect_reason(why, "(16 x 7 x 256)");
  gpu.max_work_item[1] = 8;
  assert_true(supports("conv_f32_nchw_tiled", &gpu, &conv, 4, tiled, why));
  gpu = device(CLVGG_DEVICE_GPU);
  gpu.max_work_group = 32;
  assert_false(supports("fc_f32_tiled", &gpu, &fc, 4, (const int[]){64, 4, 4, 1}, why));
  expect_reason(why, "64 x 1 x 1");
  expect_reason(why, "limit of 32");
}

/* (GROUP_X + 2) * (GROUP_Y * ITEM_Y + 2) pixels and 9 * ITEM_OC weights of TILE_IC channels, as floats. */
static void local_memory_is_the_devices(void **state) {
  (void)state;
  char why[ALGO_WHY_BYTES];
  const int tiled[] = {16, 8, 2, 8, 4};
  clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  gpu.local_bytes = 4 * (18 * 18 + 9 * 8) * 4;
  assert_int_equal(gpu.local_bytes, 6336);
  assert_true(supports("conv_f32_nchw_tiled", &gpu, &conv, 4, tiled, why));
  gpu.local_bytes = 6335;
  assert_false(supports("conv_f32_nchw_tiled", &gpu, &conv, 4, tiled, why));
  expect_reason(why, "it needs 6336 bytes of local memory, the device has 6335");
  gpu.local_bytes = 16;
  assert_false(supports("fc_f32_tiled", &gpu, &fc, 4, (const int[]){64, 4, 4, 1}, why));
  expect_reason(why, "bytes of local memory, the device has 16");
  /* What needs none goes without any. */
  gpu.local_bytes = 0;
  assert_true(supports("conv_f32_nchw_direct", &gpu, &conv, 4, (const int[]){4, 2, 8}, why));
}

/* A tile's sums, and two vectors more. On other devices than CPUs registers are not known. */
static void registers_are_the_processors(void **state) {
  (void)state;
  static const struct {
    const char *name;
    size_t block;
    int param[4];
    const char *why; /* NULL: supported */
  } cases[] = {
      {"conv_f32_nchwc_winograd", 16, {4, 14, 2}, NULL}, /* 30 of 32 */
      {"conv_f32_nchwc_winograd", 8, {4, 14, 2}, "it holds 30 vectors of 8 floats at once, the processor has 16"},
      {"conv_f32_nchwc_winograd", 8, {4, 14, 1}, NULL}, /* 16 of 16 */
      {"conv_f32_nchwc_winograd", 4, {4, 8, 2}, "it holds 18 vectors of 4 floats at once, the processor has 16"},
      {"conv_f32_nchwc_winograd", 4, {4, 6, 2}, NULL},
      {"conv_f32_nchwc_winograd_fused", 8, {4, 12, 2, 1}, "it holds 26 vectors of 8 floats at once"},
      {"conv_f32_nchwc_direct", 8, {14, 2}, "it holds 30 vectors of 8 floats at once, the processor has 16"},
      {"conv_f32_nchwc_direct", 8, {14, 1}, NULL},
      {"conv_f32_nchwc_direct", 16, {14, 2}, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char why[ALGO_WHY_BYTES];
    clvgg_device_info cpu = device(CLVGG_DEVICE_CPU), gpu = device(CLVGG_DEVICE_GPU);
    cpu.native_float_width = cpu.preferred_float_width = (uint32_t)cases[i].block;
    const bool supported = supports(cases[i].name, &cpu, &conv, cases[i].block, cases[i].param, why);
    if (supported != (cases[i].why == NULL)) fail_msg("case %zu: %s", i, why);
    if (cases[i].why) expect_reason(why, cases[i].why);
    (void)supports(cases[i].name, &gpu, &conv, cases[i].block, cases[i].param, why);
    assert_null(strstr(why, "registers"));
  }
}

/* Rules pick within these limits, also on devices with next to nothing. */
static void chosen_parameters_fit_small_devices(void **state) {
  (void)state;
  for (size_t k = 0; k < algo_count(); k++)
    for (int type = CLVGG_DEVICE_CPU; type <= CLVGG_DEVICE_GPU; type++)
      for (size_t group = 1; group <= 64; group *= 4)
        for (uint64_t local = 1024; local <= 65536; local *= 4) {
          const algo *a = algo_get(k);
          if ((a->op != LAYER_CONV && a->op != LAYER_FC) || !a->choose) continue;
          if (strstr(a->name, "clblast")) continue; /* a library's kernels, which small devices cannot run */
          /* Less than a warp or a sub-group and its tiles. */
          if (strcmp(a->name, "conv_f16_nchw_mma") == 0 && (group < 64 || local < 4096)) continue;
          if (strcmp(a->name, "conv_f16_nchw_dpas") == 0 && (group < 16 || local < 16384)) continue;
          char why[ALGO_WHY_BYTES] = "";
          int param[ALGO_MAX_PARAMS] = {0};
          clvgg_device_info dev = device((clvgg_device_type)type);
          dev.max_work_group = dev.max_work_item[0] = dev.max_work_item[1] = dev.max_work_item[2] = group;
          dev.local_bytes = local;
          const algo_problem p = {.shape = a->op == LAYER_CONV ? conv : fc, .batch = 1, .block = 16};
          a->choose(&dev, &p, param);
          (void)algo_supports(a, &dev, &p, param, why);
          if (strstr(why, "device's limit") || strstr(why, "bytes of local memory") || strstr(why, "registers") ||
              strstr(why, "cannot be"))
            fail_msg("%s with groups of %zu and %d bytes: %s", a->name, group, (int)local, why);
        }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(groups_are_within_the_devices),
      cmocka_unit_test(local_memory_is_the_devices),
      cmocka_unit_test(registers_are_the_processors),
      cmocka_unit_test(chosen_parameters_fit_small_devices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
