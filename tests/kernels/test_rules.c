/* What the algorithms choose and refuse on made-up devices, small ones too. No kernel runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/kernels.h"
#include "kernels/fixture.h"

static clvgg_device_info make_device(clvgg_device_type type, size_t group, uint64_t local) {
  return (clvgg_device_info){.type = type,
                             .name = "made up",
                             .max_alloc_bytes = (uint64_t)1 << 30,
                             .local_bytes = local,
                             .max_work_group = group,
                             .max_work_item = {group, group, group},
                             .native_float_width = 4,
                             .fp16 = 1,
                             .subgroups = 1,
                             .sub_group_sizes = {8, 16, 32},
                             .nvidia_capability = 80,
                             .intel_matrix_multiply = 1,
                             .amx_bf16 = 1,
                             .avx512_bf16 = 1};
}

static const layer_shape vgg[] = {
    {.op = LAYER_CONV, .relu = true, .in = {3, 224, 224}, .out = {64, 224, 224}},
    {.op = LAYER_CONV, .relu = true, .in = {512, 14, 14}, .out = {512, 14, 14}},
    {.op = LAYER_CONV, .relu = true, .in = {1, 1, 1}, .out = {1, 1, 1}},
    {.op = LAYER_MAXPOOL, .in = {64, 224, 224}, .out = {64, 112, 112}},
    {.op = LAYER_AVGPOOL, .in = {512, 9, 9}, .out = {512, 7, 7}},
    {.op = LAYER_FC, .relu = true, .in = {512, 7, 7}, .out = {4096, 1, 1}},
    {.op = LAYER_FC, .in = {4096, 1, 1}, .out = {1000, 1, 1}},
    {.op = LAYER_SOFTMAX, .in = {1000, 1, 1}, .out = {1000, 1, 1}},
};

static void names_are_unique_and_found(void **state) {
  (void)state;
  assert_true(algo_count() > 0);
  for (size_t i = 0; i < algo_count(); i++) {
    assert_non_null(algo_get(i)->name);
    assert_ptr_equal(algo_find(algo_get(i)->name), algo_get(i));
  }
  assert_null(algo_get(algo_count()));
  assert_null(algo_find("conv_f32_nchw"));
  assert_null(algo_find(""));
}

static void params_are_printed(void **state) {
  (void)state;
  char text[128];
  const int param[ALGO_MAX_PARAMS] = {8, 2, 4};
  assert_string_equal(algo_params_text(algo_find("conv_f32_nchw_direct"), param, text, sizeof text),
                      "TILE_X=8 TILE_Y=2 TILE_OC=4");
  assert_string_equal(algo_params_text(algo_find("conv_f32_nchw_direct"), param, text, 10), "TILE_X=8 ");
  assert_string_equal(algo_params_text(algo_find("conv_f32_nchw_naive"), param, text, sizeof text), "");
}

/* The kernel file's "#define NAME 8  // ... (1, 2, 4)" and the table say the same. */
static void kernel_files_list_the_legal_values(void **state) {
  (void)state;
  for (size_t i = 0; i < algo_count(); i++)
    for (const algo_param *p = algo_get(i)->params; p && p->name; p++) {
      char kernel[80], define[80], values[120] = "(";
      if (p->launched) continue;
      snprintf(kernel, sizeof kernel, "%s", algo_get(i)->name);
      snprintf(define, sizeof define, "#define %s ", p->name);
      for (size_t v = 0; v < COUNT(p->legal) && p->legal[v]; v++)
        snprintf(values + strlen(values), sizeof values - strlen(values), "%s%d", v ? ", " : "", p->legal[v]);
      strcat(values, ")\n");
      const kernel_source *source = kernel_sources;
      while (source->name && !strstr(source->text, kernel)) source++;
      if (!source->name) fail_msg("no file of cl/ has the kernel %s", algo_get(i)->name);
      const char *line = strstr(source->text, define), *listed = NULL;
      if (!line) fail_msg("%s does not define %s", source->name, p->name);
      for (; line && !listed; line = strstr(line + 1, define)) { /* one for each form of the kernel */
        listed = strstr(line, values);
        if (listed > strchr(line, '\n')) listed = NULL;
      }
      if (!listed) fail_msg("%s: %s should list %s", source->name, p->name, values);
    }
}

/* Every choice is legal and fits the device that it was made for. */
static void choices_fit_any_device(void **state) {
  (void)state;
  static const size_t groups[] = {1, 2, 8, 64, 100, 256, 1024, 4096};
  static const uint64_t locals[] = {256, 1024, 16384, 65536};
  for (size_t i = 0; i < algo_count(); i++)
    for (size_t s = 0; s < COUNT(vgg); s++)
      for (size_t g = 0; g < COUNT(groups); g++)
        for (size_t k = 0; k < COUNT(locals); k++)
          for (int type = CLVGG_DEVICE_CPU; type <= CLVGG_DEVICE_GPU; type++)
            for (size_t batch = 1; batch <= 64; batch *= 4) {
              const algo *a = algo_get(i);
              if (a->op != vgg[s].op || (strstr(a->name, "clblast") && !device_has_clblast())) continue;
              /* A library's kernels, which small devices cannot run. */
              if (strstr(a->name, "clblast") && (groups[g] < 64 || locals[k] < 16384)) continue;
              /* A warp or sub-group and its tiles, which any GPU with the instructions has. */
              if ((strcmp(a->name, "conv_f16_nchw_mma") == 0 || strcmp(a->name, "conv_f16_nchw_dpas") == 0) &&
                  (groups[g] < 64 || locals[k] < 16384))
                continue;
              const clvgg_device_info dev = make_device((clvgg_device_type)type, groups[g], locals[k]);
              const algo_problem problem = {.shape = vgg[s], .batch = batch, .block = algo_block(&dev)};
              /* Blocked activations are for CPUs, and the first layer's algorithm for images. */
              if (algo_uses_blocks(a) && type != CLVGG_DEVICE_CPU) continue;
              if (strcmp(a->name, "conv_f32_nchw_nchwc_direct") == 0 && vgg[s].in.c > 4) continue;
              if (a->in == ALGO_RGB8 && vgg[s].in.c != 3) continue;
              if (strcmp(a->name, "conv_f32_nchwc_im2col") == 0 && vgg[s].in.h > 16) continue; /* for small images */
              /* All places of a tile, of one channel at least: 560 bytes. */
              if (strcmp(a->name, "conv_f32_nchw_winograd_fused") == 0 && locals[k] < 560) continue;
              int param[ALGO_MAX_PARAMS] = {0};
              char why[ALGO_WHY_BYTES] = "", text[128];
              if (a->choose) a->choose(&dev, &problem, param);
              if (!algo_supports(a, &dev, &problem, param, why))
                fail_msg("%s [%s] for groups of %zu, %llu local bytes: %s", a->name,
                         algo_params_text(a, param, text, sizeof text), groups[g], (unsigned long long)locals[k], why);
            }
}

/* Expects that it is refused, with a reason that has the word. */
static void refused(const char *name, const clvgg_device_info *dev, const algo_problem *p, int first_param,
                    const char *word) {
  const algo *a = algo_find(name);
  int param[ALGO_MAX_PARAMS] = {0};
  char why[ALGO_WHY_BYTES] = "";
  if (a->choose) a->choose(dev, p, param);
  if (first_param) param[0] = first_param;
  if (algo_supports(a, dev, p, param, why)) fail_msg("%s should be refused (%s)", name, word);
  if (!strstr(why, word)) fail_msg("%s is refused with '%s', which does not say '%s'", name, why, word);
}

/* A CPU's driver keeps what work-items hold across a barrier on one thread's stack: 2304 of them with 256 sums each end the process. */
static void groups_fit_a_cpus_stack(void **state) {
  (void)state;
  const algo *a = algo_find("conv_f32_nchw_winograd_fused");
  clvgg_device_info dev = make_device(CLVGG_DEVICE_CPU, 4096, 1 << 20);
  const algo_problem p = {.shape = conv_shape(64, 64, 14, 14, true), .batch = 1};
  const int large[ALGO_MAX_PARAMS] = {16, 16, 8, 8, 1, 4, 4}, small[ALGO_MAX_PARAMS] = {8, 8, 8, 8, 1, 4, 4};
  char why[ALGO_WHY_BYTES] = "";
  assert_false(algo_supports(a, &dev, &p, large, why));
  if (!strstr(why, "2304 KiB") || !strstr(why, "stack")) fail_msg("refused with '%s'", why);
  if (!algo_supports(a, &dev, &p, small, why)) fail_msg("refused with '%s'", why);
  dev.type = CLVGG_DEVICE_GPU;
  if (!algo_supports(a, &dev, &p, large, why)) fail_msg("refused with '%s'", why);
}

/* Which conv_f16_nchw_mma has need of; not of arithmetic in half precision. */
static void tensor_units_are_asked_for(const clvgg_device_info *like, const algo_problem *p) {
  static const struct {
    int capability, k_step;
    const char *refusal; /* NULL: supported */
  } cases[] = {{0, 0, "NVIDIA"}, {70, 0, "7.5"}, {75, 8, NULL}, {75, 16, "8.0"},
               {80, 16, NULL},   {80, 8, NULL},  {121, 0, NULL}};
  const algo *a = algo_find("conv_f16_nchw_mma");
  clvgg_device_info dev = *like;
  for (size_t i = 0; i < COUNT(cases); i++) {
    int param[ALGO_MAX_PARAMS] = {0};
    char why[ALGO_WHY_BYTES] = "";
    dev.nvidia_capability = cases[i].capability;
    a->choose(&dev, p, param);
    if (cases[i].k_step) param[5] = cases[i].k_step;
    const bool supported = algo_supports(a, &dev, p, param, why);
    if (supported != !cases[i].refusal || (!supported && !strstr(why, cases[i].refusal)))
      fail_msg("capability %d, K_STEP=%d: %s", cases[i].capability, param[5], supported ? "supported" : why);
  }
}

/* Which conv_f16_nchw_dpas has need of: the extension, and sub-groups of the smallest size that the device has. */
static void matrix_engines_are_asked_for(const clvgg_device_info *like, const algo_problem *p) {
  static const struct {
    int extension;
    unsigned sizes[3];
    int sub_group;       /* 0: what is chosen */
    int expected;        /* SUBGROUP */
    const char *refusal; /* NULL: supported */
  } cases[] = {{0, {8, 16, 32}, 0, 8, "cl_intel_subgroup_matrix_multiply_accumulate"},
               {1, {8, 16, 32}, 0, 8, NULL}, /* Arc of the first generation */
               {1, {8, 16, 32}, 16, 16, "smallest sub-groups, of 8"},
               {1, {16, 32}, 0, 16, NULL}, /* Data Center GPU Max; Arc of the second generation */
               {1, {32, 16}, 0, 16, NULL},
               {1, {16, 32}, 8, 8, "smallest sub-groups, of 16"},
               {1, {32}, 0, 16, "smallest sub-groups, of 32"},
               {1, {0}, 0, 16, "smallest sub-groups, of 0"}};
  const algo *a = algo_find("conv_f16_nchw_dpas");
  clvgg_device_info dev = *like;
  for (size_t i = 0; i < COUNT(cases); i++) {
    int param[ALGO_MAX_PARAMS] = {0};
    char why[ALGO_WHY_BYTES] = "";
    dev.local_bytes = 65536;
    dev.intel_matrix_multiply = cases[i].extension;
    memset(dev.sub_group_sizes, 0, sizeof dev.sub_group_sizes);
    memcpy(dev.sub_group_sizes, cases[i].sizes, sizeof cases[i].sizes);
    a->choose(&dev, p, param);
    if (cases[i].sub_group) param[4] = cases[i].sub_group;
    assert_int_equal(param[4], cases[i].expected);
    const bool supported = algo_supports(a, &dev, p, param, why);
    if (supported != !cases[i].refusal || (!supported && !strstr(why, cases[i].refusal)))
      fail_msg("case %zu: %s", i, supported ? "supported" : why);
  }
}

static void reasons_are_given(void **state) {
  (void)state;
  clvgg_device_info dev = make_device(CLVGG_DEVICE_GPU, 256, 16384);
  algo_problem p = {.shape = conv_shape(512, 512, 14, 14, true), .batch = 1};
  refused("fc_f32_tiled", &dev, &p, 0, "fc");
  refused("conv_f32_nchw_direct", &dev, &p, 3, "TILE_X cannot be 3");

  dev.max_iterations = 65535;
  refused("conv_f32_nchw_direct", &dev, &p, 0, "65535");
  dev.max_iterations = 0;

  p.shape = (layer_shape){.op = LAYER_CONVERT, .in = {4, 14, 14}, .out = {4, 14, 14}};
  refused("convert_u8_nhwc_nchw", &dev, &p, 0, "pixels have 3");
  p.shape = conv_shape(512, 512, 14, 14, true);

  dev.max_alloc_bytes = 512 * 512 * 9 * 4 - 1;
  refused("conv_f32_nchw_naive", &dev, &p, 0, "weights");
  refused("conv_f32_nchw_direct", &dev, &p, 0, "weights");
  refused("conv_f32_nchw_tiled", &dev, &p, 0, "weights");

  p.shape = fc_shape((shape3){512, 7, 7}, 4096, true);
  dev.max_alloc_bytes = 25088 * 4 - 1; /* not even one row */
  refused("fc_f32_naive", &dev, &p, 0, "weights");
  refused("fc_f32_tiled", &dev, &p, 0, "weights");

  dev.max_alloc_bytes = UINT64_MAX;
  p = (algo_problem){.shape = conv_shape(64, 64, 4096, 4096, true), .batch = 2}; /* 2^31 elements */
  refused("conv_f32_nchw_naive", &dev, &p, 0, "32-bit");
  p = (algo_problem){.shape = conv_shape(SIZE_MAX / 2, 64, 4096, 4096, true), .batch = 2};
  refused("conv_f32_nchw_naive", &dev, &p, 0, "32-bit");
  p = (algo_problem){.shape = conv_shape(4, 4, 4, 4, true), .batch = 0};
  refused("conv_f32_nchw_naive", &dev, &p, 0, "empty");
  p = (algo_problem){.shape = maxpool_shape(4, 1, 4), .batch = 1}; /* no output row */
  refused("maxpool_f32_nchw_naive", &dev, &p, 0, "empty");
  p = (algo_problem){.shape = conv_shape(4, 4, 4, 4, true), .batch = 1};
  p.shape.out.w = 5;
  refused("conv_f32_nchw_naive", &dev, &p, 0, "agree");

  p.shape = conv_shape(512, 512, 14, 14, true);
  dev.max_alloc_bytes = 512 * 512 * 9 * 2 - 1;
  refused("conv_f32_nchw_implicit_gemm", &dev, &p, 0, "weights");
  refused("conv_f16w_nchw_implicit_gemm", &dev, &p, 0, "weights");
  dev.max_alloc_bytes = UINT64_MAX;
  dev.fp16 = 0;
  refused("conv_f16_nchw_implicit_gemm", &dev, &p, 0, "cl_khr_fp16");
  tensor_units_are_asked_for(&dev, &p);
  matrix_engines_are_asked_for(&dev, &p);
  dev.max_alloc_bytes = 512 * 512 * 16 * 4 - 1; /* F(2, 3)'s */
  refused("conv_f32_nchw_winograd", &dev, &p, 0, "transformed weights");
  refused("conv_f32_nchw_winograd_fused", &dev, &p, 0, "transformed weights");
  dev.max_alloc_bytes = UINT64_MAX;

  refused("conv_bf16_nchwc_amx", &dev, &p, 0, "CPUs");
  dev.type = CLVGG_DEVICE_CPU;
  p.block = 16;
  dev.amx_bf16 = 0;
  refused("conv_bf16_nchwc_amx", &dev, &p, 0, "it needs AMX-BF16");
  dev.avx512_bf16 = 0;
  refused("conv_bf16_nchwc_avx512", &dev, &p, 0, "it needs AVX512-BF16");
  refused("conv_bf16_nchwc_winograd", &dev, &p, 0, "it needs AVX512-BF16");
  refused("conv_bf16_nchwc_winograd_fused", &dev, &p, 0, "it needs AVX512-BF16");
  dev.amx_bf16 = 1;
  refused("conv_bf16_nchwc_amx", &dev, &p, 3, "TILES_PX cannot be 3");
  dev.max_alloc_bytes = 512 * 512 * 9 * 2 - 1;
  refused("conv_bf16_nchwc_amx", &dev, &p, 0, "weights");

  dev = make_device(CLVGG_DEVICE_GPU, 64, 16384);
  p = (algo_problem){.shape = fc_shape((shape3){64, 1, 1}, 10, true), .batch = 1};
  refused("fc_f32_tiled", &dev, &p, 128, "work-group");
  dev.local_bytes = 1023; /* 4 rows x 1 image x 64 items x 4 bytes are 1024 */
  refused("fc_f32_tiled", &dev, &p, 64, "local memory");
  dev.local_bytes = 16384;
  p.shape = conv_shape(64, 64, 14, 14, true);
  refused("conv_f32_nchw_tiled", &dev, &p, 16, "work-group"); /* chosen are 8 x 8 */
  p.shape = softmax_shape(1000);
  refused("softmax_f32_naive", &dev, &p, 256, "work-group");
}

static void workspace_is_bounded(void **state) {
  (void)state;
  if (!device_has_clblast()) skip();
  const algo *a = algo_find("conv_f32_nchw_im2col_clblast");
  clvgg_device_info dev = make_device(CLVGG_DEVICE_GPU, 256, 16384);
  const int param[ALGO_MAX_PARAMS] = {0};
  char why[ALGO_WHY_BYTES];
  /* 576 x 224 floats a row: 224 rows are 110 MiB, so two strips of 112. */
  algo_problem p = {.shape = conv_shape(64, 64, 224, 224, true), .batch = 64};
  assert_int_equal(algo_workspace_bytes(a, &dev, &p, param), 576 * 224 * 112 * sizeof(float));
  dev.max_alloc_bytes = 1 << 20; /* two rows */
  assert_int_equal(algo_workspace_bytes(a, &dev, &p, param), 576 * 224 * 2 * sizeof(float));
  dev.max_alloc_bytes = 576 * 224 * sizeof(float) - 1;
  assert_false(algo_supports(a, &dev, &p, param, why));
  assert_int_equal(algo_workspace_bytes(algo_find("conv_f32_nchw_naive"), &dev, &p, param), 0);
}

/* The plan makes room for the parameters that it chose; the built kernel may turn out to allow only smaller groups. */
static void smaller_groups_need_no_more_workspace(void **state) {
  (void)state;
  const algo *a = algo_find("conv_f32_nchw_winograd");
  static const size_t channels[] = {1, 3, 64, 100, 512}, sides[] = {1, 7, 14, 33, 224};
  for (int m = 2; m <= 4; m += 2)
    for (size_t i = 0; i < COUNT(channels) * COUNT(sides) * 3; i++) {
      clvgg_device_info dev = make_device(CLVGG_DEVICE_GPU, 256, 32768);
      const size_t c = channels[i % COUNT(channels)], side = sides[i / COUNT(channels) % COUNT(sides)];
      const algo_problem p = {.shape = conv_shape(c, 512 / c, side, side, true), .batch = i % 2 ? 1 : 64};
      if (i % 3 == 0) dev.max_alloc_bytes = (uint64_t)16 << 20;
      int param[ALGO_MAX_PARAMS] = {16, 16, 8, 8, 8, m};
      size_t before = algo_workspace_bytes(a, &dev, &p, param);
      assert_true(before <= dev.max_alloc_bytes && before <= (size_t)64 << 20);
      while (param[0] > 1) {
        param[param[0] > param[1] ? 0 : 1] /= 2;
        const size_t now = algo_workspace_bytes(a, &dev, &p, param);
        assert_true(now <= before);
        before = now;
      }
    }
}

/* The naive variants run where loops are capped: VGG-16's longest sums are 25088 and 512 * 9. */
static void naive_variants_stay_below_the_iteration_cap(void **state) {
  (void)state;
  clvgg_device_info dev = make_device(CLVGG_DEVICE_CPU, 1024, 32768);
  dev.max_iterations = 65535;
  static const char *const names[] = {[LAYER_CONV] = "conv_f32_nchw_naive",
                                      [LAYER_MAXPOOL] = "maxpool_f32_nchw_naive",
                                      [LAYER_AVGPOOL] = "avgpool_f32_nchw_naive",
                                      [LAYER_FC] = "fc_f32_naive",
                                      [LAYER_SOFTMAX] = "softmax_f32_naive"};
  for (size_t s = 0; s < COUNT(vgg); s++) {
    const algo *a = algo_find(names[vgg[s].op]);
    const algo_problem p = {.shape = vgg[s], .batch = 8};
    int param[ALGO_MAX_PARAMS] = {0};
    char why[ALGO_WHY_BYTES] = "";
    if (a->choose) a->choose(&dev, &p, param);
    if (!algo_supports(a, &dev, &p, param, why)) fail_msg("%s: %s", a->name, why);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_unique_and_found),
      cmocka_unit_test(params_are_printed),
      cmocka_unit_test(kernel_files_list_the_legal_values),
      cmocka_unit_test(choices_fit_any_device),
      cmocka_unit_test(reasons_are_given),
      cmocka_unit_test(groups_fit_a_cpus_stack),
      cmocka_unit_test(workspace_is_bounded),
      cmocka_unit_test(smaller_groups_need_no_more_workspace),
      cmocka_unit_test(naive_variants_stay_below_the_iteration_cap),
  };
  return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
