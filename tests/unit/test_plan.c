/* The plan's rules and memory figures, on made-up devices: no OpenCL is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "plan/plan.h"
#include "unit/made_up_device.h"

/* conv 3 -> 64 at 32x32, pool, fc 64*16*16 -> 10 */
static void small_network(layer out[3]) {
  memset(out, 0, 3 * sizeof *out);
  strcpy(out[0].name, "conv1_1");
  out[0].shape = (layer_shape){.op = LAYER_CONV, .relu = true, .in = {3, 32, 32}, .out = {64, 32, 32}};
  strcpy(out[1].name, "pool1");
  out[1].shape = (layer_shape){.op = LAYER_MAXPOOL, .in = {64, 32, 32}, .out = {64, 16, 16}};
  strcpy(out[2].name, "fc6");
  out[2].shape = (layer_shape){.op = LAYER_FC, .in = {64, 16, 16}, .out = {10, 1, 1}};
}

/* Which of those for GPUs is a matter of their models; each does the pooling, too. */
static void expect_gpu_convolution(const plan_step *step) {
  const char *name = step->algo->name;
  assert_true(strstr(name, "conv_f32_nchw_winograd") == name || strstr(name, "conv_f32_nchw_implicit_gemm") == name);
  assert_string_equal(step->source, "model");
  assert_int_equal(step->layers, 2);
}

static void rules_follow_the_kind_of_device(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  plan p;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU), gpu = device(CLVGG_DEVICE_GPU);
  assert_int_equal(plan_make(&cpu, layers, 3, 1, &(plan_options){0}, &p), CLVGG_OK);
  /* A CPU works on blocked activations; the pooling is a step of its own, as this first layer cannot do it. */
  assert_string_equal(p.steps[0].algo->name, "conv_f32_nchw_nchwc_direct");
  assert_string_equal(p.steps[1].algo->name, "maxpool_f32_nchwc_naive");
  assert_string_equal(p.steps[2].algo->name, "fc_f32_nchwc_gemv");
  assert_int_equal(p.count, 3);
  plan_free(&p);
  assert_int_equal(plan_make(&gpu, layers, 3, 1, &(plan_options){0}, &p), CLVGG_OK);
  expect_gpu_convolution(&p.steps[0]);
  plan_free(&p);
  /* Without the algorithms that have a model, tiles in local memory come first. */
  bool excluded[64] = {false};
  for (size_t i = 0; i < algo_count(); i++) excluded[i] = algo_get(i)->cost != NULL && algo_get(i)->op == LAYER_CONV;
  assert_int_equal(plan_make(&gpu, layers, 3, 1, &(plan_options){.excluded = excluded}, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].algo->name, "conv_f32_nchw_tiled");
  assert_string_equal(p.steps[0].source, "rule: GPU");
  plan_free(&p);
}

/* Also where it has no cap on iterations; and such a cap alone makes no CPU a rasteriser. */
static void a_rasteriser_takes_the_naive_algorithms(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  plan p;
  clvgg_device_info dev = device(CLVGG_DEVICE_CPU);
  dev.software_rasteriser = 1;
  assert_int_equal(plan_make(&dev, layers, 3, 1, &(plan_options){0}, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].algo->name, "conv_f32_nchw_naive");
  assert_string_equal(p.steps[0].source, "rule: software rasteriser");
  assert_string_equal(p.steps[p.count - 1].algo->name, "fc_f32_naive");
  plan_free(&p);
  dev.software_rasteriser = 0;
  dev.max_iterations = 1000000;
  assert_int_equal(plan_make(&dev, layers, 3, 1, &(plan_options){0}, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].source, "model");
  plan_free(&p);
}

static void asked_for_is_used_where_it_fits(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  plan p;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  assert_int_equal(plan_make(&cpu, layers, 3, 1, &(plan_options){.wanted = "fc_f32_naive,conv_f32_nchw_naive"}, &p),
                   CLVGG_OK);
  assert_string_equal(p.steps[0].algo->name, "conv_f32_nchw_naive");
  assert_string_equal(p.steps[1].algo->name, "convert_f32_nchw_nchwc");
  assert_string_equal(p.steps[1].name, "to NCHW16c");
  assert_string_equal(p.steps[2].algo->name, "maxpool_f32_nchwc_naive");
  assert_string_equal(p.steps[4].algo->name, "fc_f32_naive");
  assert_string_equal(p.steps[0].source, "asked for");
  plan_free(&p);
  assert_int_equal(plan_make(&cpu, layers, 3, 1, &(plan_options){.wanted = "conv_f32_nchw_magic"}, &p),
                   CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "conv_f32_nchw_magic"));
  assert_non_null(strstr(clvgg_last_error(), "conv_f32_nchw_naive"));
}

static void an_iteration_cap_excludes_long_loops(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  plan p;
  clvgg_device_info capped = device(CLVGG_DEVICE_CPU);
  capped.max_iterations = 2;
  assert_int_equal(plan_make(&capped, layers, 3, 1, &(plan_options){0}, &p), CLVGG_ERROR_UNSUPPORTED);
  assert_non_null(strstr(clvgg_last_error(), "conv1_1"));
  assert_non_null(strstr(clvgg_last_error(), "iterations"));
}

static void activations_alternate_between_two_buffers(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  plan p;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  assert_int_equal(plan_make(&cpu, layers, 3, 5, &(plan_options){.wanted = "conv_f32_nchw_nchwc_direct"}, &p),
                   CLVGG_OK);
  /* even: input (3,32,32), pool's output (64,16,16); odd: conv's output (64,32,32), logits */
  assert_int_equal(p.activation_bytes[0], 5 * 64 * 16 * 16 * 4);
  assert_int_equal(p.activation_bytes[1], 5 * 64 * 32 * 32 * 4);
  plan_free(&p);
}

static void channels_are_rounded_up_to_blocks(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  layers[0].shape.out.c = layers[1].shape.in.c = layers[1].shape.out.c = layers[2].shape.in.c = 17;
  plan p;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  assert_int_equal(plan_make(&cpu, layers, 3, 1, &(plan_options){0}, &p), CLVGG_OK);
  assert_int_equal(p.activation_bytes[1], 32 * 32 * 32 * 4);
  plan_free(&p);
}

static void excluded_algorithms_are_not_used(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  plan p;
  bool excluded[64] = {false};
  for (size_t i = 0; i < algo_count(); i++) excluded[i] = strstr(algo_get(i)->name, "nchwc") != NULL;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  assert_int_equal(plan_make(&cpu, layers, 3, 1, &(plan_options){.excluded = excluded}, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].algo->name, "conv_f32_nchw_direct");
  plan_free(&p);
}

/* Two convolutions of VGG-16's middle, a pooling and its first fully connected layer. */
static void middle_of_vgg16(layer out[4]) {
  memset(out, 0, 4 * sizeof *out);
  const shape3 wide = {256, 28, 28}, deep = {512, 28, 28}, half = {512, 14, 14};
  out[0].shape = (layer_shape){.op = LAYER_CONV, .relu = true, .in = wide, .out = deep};
  out[1].shape = (layer_shape){.op = LAYER_CONV, .relu = true, .in = deep, .out = deep};
  out[2].shape = (layer_shape){.op = LAYER_MAXPOOL, .in = deep, .out = half};
  out[3].shape = (layer_shape){.op = LAYER_FC, .in = half, .out = {1000, 1, 1}};
}

static void small_memory_avoids_transformed_weights(void **state) {
  (void)state;
  layer layers[4];
  middle_of_vgg16(layers);
  static const char *const expected[] = {"convert_f32_nchw_nchwc", "conv_f32_nchwc_winograd_on_the_fly",
                                         "conv_f32_nchwc_winograd_on_the_fly", "fc_f32_nchwc_gemv"};
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  for (size_t batch = 1; batch <= 64; batch *= 8) {
    plan fast, small;
    assert_int_equal(plan_make(&cpu, layers, 4, batch, &(plan_options){0}, &fast), CLVGG_OK);
    assert_non_null(strstr(fast.steps[2].algo->name, "winograd"));
    assert_string_not_equal(fast.steps[2].algo->name, expected[2]);
    assert_int_equal(plan_make(&cpu, layers, 4, batch, &(plan_options){.memory = CLVGG_MEMORY_SMALL}, &small),
                     CLVGG_OK);
    assert_int_equal(small.count, 4);
    for (size_t i = 0; i < 4; i++) assert_string_equal(small.steps[i].algo->name, expected[i]);
    plan_free(&fast);
    plan_free(&small);
  }
  /* What is asked for is used all the same. */
  plan p;
  const plan_options options = {.memory = CLVGG_MEMORY_SMALL, .wanted = "conv_f32_nchwc_winograd"};
  assert_int_equal(plan_make(&cpu, layers, 4, 1, &options, &p), CLVGG_OK);
  assert_string_equal(p.steps[1].algo->name, "conv_f32_nchwc_winograd");
  plan_free(&p);
}

/* The models' time of a plan, and the bytes of its weights beyond the layers' own. */
static void weigh(const plan *p, double *cost, double *more) {
  *cost = *more = 0;
  for (size_t i = 0; i < p->count; i++) {
    const plan_step *step = &p->steps[i];
    const layer_shape *s = &step->problem.shape;
    double flops, bytes;
    *cost += step->cost;
    if (!step->algo->work) continue;
    step->algo->work(&step->problem, step->param, &flops, &bytes);
    *more += bytes - 4.0 * (double)layer_row_length(s) * (double)s->out.c;
  }
}

/* Transformed weights of all these convolutions would take 113 MB more. */
static void balanced_memory_has_a_limit(void **state) {
  (void)state;
  enum { LAYERS = 5 };
  layer layers[LAYERS] = {0};
  for (size_t i = 0; i < LAYERS; i++)
    layers[i].shape = (layer_shape){.op = LAYER_CONV, .relu = true, .in = {512, 28, 28}, .out = {512, 28, 28}};
  for (int type = 0; type < 2; type++) {
    clvgg_device_info dev = device(type ? CLVGG_DEVICE_GPU : CLVGG_DEVICE_CPU);
    dev.compute_units = 2;
    plan p;
    double cost[3], more[3]; /* by clvgg_memory */
    for (clvgg_memory memory = CLVGG_MEMORY_BALANCED; memory <= CLVGG_MEMORY_SMALL; memory++) {
      assert_int_equal(plan_make(&dev, layers, LAYERS, 1, &(plan_options){.memory = memory}, &p), CLVGG_OK);
      weigh(&p, &cost[memory], &more[memory]);
      plan_free(&p);
    }
    assert_true(more[CLVGG_MEMORY_FAST] > 60e6 && more[CLVGG_MEMORY_SMALL] < 60e6);
    assert_true(cost[CLVGG_MEMORY_FAST] <= cost[CLVGG_MEMORY_BALANCED]);
    if (type == 0) { /* where there is a form that is nearly as fast */
      assert_true(more[CLVGG_MEMORY_BALANCED] <= 60e6 && more[CLVGG_MEMORY_BALANCED] > more[CLVGG_MEMORY_SMALL]);
      assert_true(cost[CLVGG_MEMORY_BALANCED] < cost[CLVGG_MEMORY_SMALL]);
      assert_true(cost[CLVGG_MEMORY_BALANCED] <= 1.05 * cost[CLVGG_MEMORY_FAST]);
    } else {
      assert_true(cost[CLVGG_MEMORY_BALANCED] == cost[CLVGG_MEMORY_FAST]);
    }
  }
}

/* Many channels repay Winograd's transforms, on a GPU too; the few of an image do not, and its weights are larger. */
static void a_gpu_transforms_where_it_pays(void **state) {
  (void)state;
  layer layers[4];
  middle_of_vgg16(layers);
  const clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  for (size_t batch = 1; batch <= 64; batch *= 8) {
    plan p;
    assert_int_equal(plan_make(&gpu, layers, 4, batch, &(plan_options){0}, &p), CLVGG_OK);
    assert_non_null(strstr(p.steps[0].algo->name, "conv_f32_nchw_winograd"));
    assert_non_null(strstr(p.steps[1].algo->name, "conv_f32_nchw_winograd"));
    assert_int_equal(p.steps[1].layers, 2);
    assert_true(p.workspace_bytes <= (size_t)64 << 20);
    plan_free(&p);
    assert_int_equal(plan_make(&gpu, layers, 4, batch, &(plan_options){.memory = CLVGG_MEMORY_SMALL}, &p), CLVGG_OK);
    for (size_t i = 0; i < p.count; i++) assert_null(strstr(p.steps[i].algo->name, "winograd"));
    plan_free(&p);
  }
  const layer_shape first = {.op = LAYER_CONV, .relu = true, .in = {3, 224, 224}, .out = {64, 224, 224}};
  layers[0].shape = first;
  plan p;
  assert_int_equal(plan_make(&gpu, layers, 1, 1, &(plan_options){0}, &p), CLVGG_OK);
  assert_null(strstr(p.steps[0].algo->name, "winograd"));
  plan_free(&p);
}

static void smaller_weights_are_used_only_where_allowed(void **state) {
  (void)state;
  layer layers[4];
  middle_of_vgg16(layers);
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU), gpu = device(CLVGG_DEVICE_GPU);
  /* The smallest of the allowed forms is the fastest. By name each is to be had. */
  static const struct {
    plan_options options;
    const char *expected, *on_gpu;
  } cases[] = {
      {{0}, "fc_f32_nchwc_gemv", "fc_f32_tiled"},
      {{.form = ALGO_F24}, "fc_f24w_nchwc_gemv", "fc_f24w_tiled"},
      {{.form = ALGO_F16}, "fc_f16w_nchwc_gemv", "fc_f16w_tiled"},
      {{.wanted = "fc_f24w_nchwc_gemv"}, "fc_f24w_nchwc_gemv", "fc_f32_tiled"}, /* which is for CPUs */
      {{.wanted = "fc_f16w_nchwc_gemv"}, "fc_f16w_nchwc_gemv", "fc_f32_tiled"},
      {{.wanted = "fc_f16w_tiled"}, "fc_f16w_tiled", "fc_f16w_tiled"},
      {{.wanted = "fc_f24w_nchwc_gemv", .form = ALGO_F16}, "fc_f24w_nchwc_gemv", "fc_f16w_tiled"},
      {{.wanted = "fc_f32_nchwc_gemv", .form = ALGO_F24}, "fc_f32_nchwc_gemv", "fc_f24w_tiled"},
      {{.memory = CLVGG_MEMORY_SMALL}, "fc_f32_nchwc_gemv", "fc_f32_tiled"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t batch = 1; batch <= 64; batch *= 8) {
      plan p;
      assert_int_equal(plan_make(&cpu, layers, 4, batch, &cases[i].options, &p), CLVGG_OK);
      assert_string_equal(p.steps[p.count - 1].algo->name, cases[i].expected);
      for (size_t k = 0; k + 1 < p.count; k++) assert_int_equal(p.steps[k].algo->form, ALGO_F32);
      plan_free(&p);
      assert_int_equal(plan_make(&gpu, layers, 4, batch, &cases[i].options, &p), CLVGG_OK);
      assert_string_equal(p.steps[p.count - 1].algo->name, cases[i].on_gpu);
      assert_string_equal(p.steps[p.count - 1].source,
                          cases[i].options.wanted && strstr(cases[i].options.wanted, "tiled") ? "asked for" : "model");
      plan_free(&p);
    }
}

/* Of matrix products: Winograd's method, which has other forms, is left out. */
static void a_gpus_convolutions_have_the_allowed_form(void **state) {
  (void)state;
  layer layers[4];
  middle_of_vgg16(layers);
  bool excluded[64] = {false};
  for (size_t i = 0; i < algo_count(); i++) excluded[i] = strstr(algo_get(i)->name, "winograd") != NULL;
  static const struct {
    algo_form form;
    int fp16;
    int capability;      /* of a GPU by NVIDIA */
    unsigned sub_groups; /* the smallest of one by Intel that has matrix engines */
    const char *expected;
  } cases[] = {{ALGO_F32, 1, 80, 0, "conv_f32_nchw_implicit_gemm"},
               {ALGO_F24, 1, 0, 8, "conv_f32_nchw_implicit_gemm"},
               {ALGO_F16, 1, 80, 0, "conv_f16w_nchw_implicit_gemm"},
               {ALGO_F16, 1, 0, 16, "conv_f16w_nchw_implicit_gemm"},
               {ALGO_F16_MATH, 1, 0, 0, "conv_f16_nchw_implicit_gemm"},
               {ALGO_F16_MATH, 0, 0, 0, "conv_f16w_nchw_implicit_gemm"},
               {ALGO_F16_MATH, 0, 70, 0, "conv_f16w_nchw_implicit_gemm"},
               {ALGO_F16_MATH, 0, 75, 0, "conv_f16_nchw_mma"},
               {ALGO_F16_MATH, 0, 89, 0, "conv_f16_nchw_mma"},
               {ALGO_F16_MATH, 1, 0, 8, "conv_f16_nchw_dpas"},
               {ALGO_F16_MATH, 1, 0, 16, "conv_f16_nchw_dpas"},
               {ALGO_F16_MATH, 1, 0, 32, "conv_f16_nchw_implicit_gemm"}};
  clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t batch = 1; batch <= 64; batch *= 8) {
      plan p;
      gpu.fp16 = cases[i].fp16;
      gpu.nvidia_capability = cases[i].capability;
      gpu.intel_matrix_multiply = cases[i].sub_groups > 0;
      gpu.sub_group_sizes[0] = cases[i].sub_groups;
      const plan_options options = {.form = cases[i].form, .excluded = excluded};
      assert_int_equal(plan_make(&gpu, layers, 4, batch, &options, &p), CLVGG_OK);
      for (size_t k = 0; k < 2; k++) assert_string_equal(p.steps[k].algo->name, cases[i].expected);
      assert_int_equal(p.steps[1].layers, 2);
      plan_free(&p);
    }
}

/* By the models: AMX is worth it (an estimate), twice the rate of f32 with Winograd's method only. */
static void a_cpus_convolutions_may_be_bf16(void **state) {
  (void)state;
  layer layers[4];
  middle_of_vgg16(layers);
  static const struct {
    algo_form form;
    int amx, avx512;
    const char *expected[2]; /* either */
  } cases[] = {{ALGO_BF16_MATH, 1, 1, {"conv_bf16_nchwc_amx", "conv_bf16_nchwc_winograd"}},
               {ALGO_BF16_MATH, 1, 0, {"conv_bf16_nchwc_amx", "-"}},
               {ALGO_BF16_MATH, 0, 1, {"conv_bf16_nchwc_winograd", "-"}},
               {ALGO_BF16_MATH, 0, 0, {"conv_f32_", "-"}},
               {ALGO_F16_MATH, 1, 1, {"conv_f32_", "-"}},
               {ALGO_F32, 1, 1, {"conv_f32_", "-"}}};
  clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t batch = 1; batch <= 64; batch *= 8)
      for (cpu.compute_units = 1; cpu.compute_units <= 64; cpu.compute_units *= 8) {
        plan p;
        cpu.amx_bf16 = cases[i].amx;
        cpu.avx512_bf16 = cases[i].avx512;
        const plan_options options = {.form = cases[i].form};
        assert_int_equal(plan_make(&cpu, layers, 4, batch, &options, &p), CLVGG_OK);
        size_t convolutions = 0;
        for (size_t k = 0; k < p.count; k++) {
          if (p.steps[k].problem.shape.op != LAYER_CONV) continue;
          convolutions++;
          const char *name = p.steps[k].algo->name;
          if (strstr(name, cases[i].expected[0]) != name && strstr(name, cases[i].expected[1]) != name)
            fail_msg("case %zu, batch %zu, %u units: %s", i, batch, cpu.compute_units, name);
        }
        assert_int_equal(convolutions, 2);
        plan_free(&p);
      }
}

/* Bytes of weights, as --memory small and explain have them. */
static void smaller_weights_are_smaller(void **state) {
  (void)state;
  const algo_problem p = {.shape = {.op = LAYER_FC, .in = {512, 7, 7}, .out = {4096, 1, 1}}, .batch = 1, .block = 16};
  const double weights = 25088.0 * 4096;
  static const char *const names[] = {"fc_f32_nchwc_gemv", "fc_f24w_nchwc_gemv", "fc_f16w_nchwc_gemv"};
  const double expected[] = {4 * weights, 3 * weights + 4 * 4096, 2 * weights};
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  for (size_t i = 0; i < 3; i++) {
    const algo *a = algo_find(names[i]);
    int param[ALGO_MAX_PARAMS] = {0};
    double flops, bytes;
    a->choose(&cpu, &p, param);
    a->work(&p, param, &flops, &bytes);
    assert_true(flops == 2 * weights && bytes == expected[i]);
  }
}

static void pixels_are_a_start_of_their_own(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  plan p;
  const plan_options plain = {.rgb8 = true}, options = {.rgb8 = true, .wanted = "conv_f32_nchw_naive"};
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU), gpu = device(CLVGG_DEVICE_GPU);
  assert_int_equal(plan_make(&gpu, layers, 3, 2, &plain, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].algo->name, "convert_u8_nhwc_nchw");
  assert_string_equal(p.steps[0].name, "to NCHW");
  expect_gpu_convolution(&p.steps[1]);
  /* even: the pixels, a byte a channel, and the convolution's pooled output; odd: what they were converted to */
  assert_int_equal(p.activation_bytes[0], 2 * 64 * 16 * 16 * 4);
  assert_int_equal(p.activation_bytes[1], 2 * 3 * 32 * 32 * 4);
  plan_free(&p);
  assert_int_equal(plan_make(&cpu, layers, 3, 2, &plain, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].algo->name, "conv_u8_nhwc_nchwc_direct");
  assert_int_equal(p.count, 3);
  plan_free(&p);
  assert_int_equal(plan_make(&cpu, layers, 3, 1, &options, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].algo->name, "convert_u8_nhwc_nchw");
  assert_string_equal(p.steps[1].algo->name, "conv_f32_nchw_naive");
  plan_free(&p);
  /* Two conversions one after the other, where the first layer wants blocks. */
  layers[0].shape.in.c = 3;
  const plan_options blocked = {.rgb8 = true, .wanted = "conv_f32_nchwc_winograd"};
  assert_int_equal(plan_make(&cpu, layers, 3, 1, &blocked, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].algo->name, "convert_u8_nhwc_nchw");
  assert_string_equal(p.steps[1].algo->name, "convert_f32_nchw_nchwc");
  assert_string_equal(p.steps[2].algo->name, "conv_f32_nchwc_winograd");
  plan_free(&p);
  /* Without pixels nothing changes. */
  assert_int_equal(plan_make(&gpu, layers, 3, 1, &(plan_options){0}, &p), CLVGG_OK);
  expect_gpu_convolution(&p.steps[0]);
  plan_free(&p);
}

static void layouts_have_their_sizes(void **state) {
  (void)state;
  const shape3 s = {3, 5, 7};
  assert_int_equal(algo_bytes(ALGO_RGB8, s, 2, 16), 2 * 5 * 7 * 3);
  assert_int_equal(algo_bytes(ALGO_NCHW, s, 2, 16), 2 * 5 * 7 * 3 * 4);
  assert_int_equal(algo_bytes(ALGO_NCHWC, s, 2, 16), 2 * 5 * 7 * 16 * 4);
  assert_string_equal(algo_layout_name(ALGO_RGB8, 16), "RGB8");
}

static void impossible_sizes_are_refused(void **state) {
  (void)state;
  layer layers[3];
  small_network(layers);
  layers[0].shape.in.h = layers[0].shape.out.h = (size_t)1 << 40;
  layers[0].shape.in.w = layers[0].shape.out.w = (size_t)1 << 40;
  plan p;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  assert_int_equal(plan_make(&cpu, layers, 3, 1, &(plan_options){0}, &p), CLVGG_ERROR_TOO_LARGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rules_follow_the_kind_of_device),
                                     cmocka_unit_test(a_rasteriser_takes_the_naive_algorithms),
                                     cmocka_unit_test(asked_for_is_used_where_it_fits),
                                     cmocka_unit_test(an_iteration_cap_excludes_long_loops),
                                     cmocka_unit_test(activations_alternate_between_two_buffers),
                                     cmocka_unit_test(impossible_sizes_are_refused),
                                     cmocka_unit_test(pixels_are_a_start_of_their_own),
                                     cmocka_unit_test(layouts_have_their_sizes),
                                     cmocka_unit_test(channels_are_rounded_up_to_blocks),
                                     cmocka_unit_test(excluded_algorithms_are_not_used),
                                     cmocka_unit_test(small_memory_avoids_transformed_weights),
                                     cmocka_unit_test(balanced_memory_has_a_limit),
                                     cmocka_unit_test(a_gpu_transforms_where_it_pays),
                                     cmocka_unit_test(smaller_weights_are_used_only_where_allowed),
                                     cmocka_unit_test(a_gpus_convolutions_have_the_allowed_form),
                                     cmocka_unit_test(a_cpus_convolutions_may_be_bf16),
                                     cmocka_unit_test(smaller_weights_are_smaller)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
