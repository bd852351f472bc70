/* Plans as text, on made-up devices: what is written reads back the same, and what does not fit is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "plan/steps.h"
#include "unit/made_up_device.h"

enum { LAYERS = 7 };

/* conv, conv, pool, conv, pool, fc, fc */
static void make_layers(layer out[LAYERS]) {
  const shape3 image = {3, 56, 56}, wide = {64, 56, 56}, half = {64, 28, 28}, deep = {128, 28, 28},
               last = {128, 14, 14};
  const layer_shape shapes[LAYERS] = {
      {.op = LAYER_CONV, .relu = true, .in = image, .out = wide},
      {.op = LAYER_CONV, .relu = true, .in = wide, .out = wide},
      {.op = LAYER_MAXPOOL, .in = wide, .out = half},
      {.op = LAYER_CONV, .relu = true, .in = half, .out = deep},
      {.op = LAYER_MAXPOOL, .in = deep, .out = last},
      {.op = LAYER_FC, .relu = true, .in = last, .out = {256, 1, 1}},
      {.op = LAYER_FC, .in = {256, 1, 1}, .out = {10, 1, 1}},
  };
  static const char *const names[LAYERS] = {"conv1_1", "conv1_2", "pool1", "conv2_1", "pool2", "fc6", "fc7"};
  memset(out, 0, LAYERS * sizeof *out);
  for (size_t i = 0; i < LAYERS; i++) {
    strcpy(out[i].name, names[i]);
    out[i].shape = shapes[i];
  }
}

static void expect_same(const plan *found, const plan *p, const char *source) {
  assert_int_equal(found->count, p->count);
  assert_int_equal(found->batch, p->batch);
  assert_memory_equal(found->activation_bytes, p->activation_bytes, sizeof p->activation_bytes);
  assert_int_equal(found->workspace_bytes, p->workspace_bytes);
  for (size_t i = 0; i < p->count; i++) {
    const plan_step *a = &found->steps[i], *b = &p->steps[i];
    assert_ptr_equal(a->algo, b->algo);
    assert_memory_equal(a->param, b->param, sizeof a->param);
    assert_true(costs_same_problem(&a->problem, &b->problem));
    assert_int_equal(a->layer, b->layer);
    assert_int_equal(a->layers, b->layers);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->source, source);
  }
}

static void made_plans_read_back(void **state) {
  (void)state;
  layer layers[LAYERS];
  make_layers(layers);
  const clvgg_device_info devices[] = {device(CLVGG_DEVICE_CPU), device(CLVGG_DEVICE_GPU)};
  static const char *const wanted[] = {NULL, "conv_f32_nchw_naive,fc_f32_naive", "conv_f32_nchwc_winograd,fc_f32_gemv"};
  for (size_t d = 0; d < 2; d++)
    for (size_t batch = 1; batch <= 8; batch *= 8)
      for (int rgb8 = 0; rgb8 < 2; rgb8++)
        for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
          const plan_options options = {.rgb8 = rgb8, .wanted = wanted[w]};
          char text[PLAN_STEPS_BYTES], again[PLAN_STEPS_BYTES];
          plan made, found;
          assert_int_equal(plan_make(&devices[d], layers, LAYERS, batch, &options, &made), CLVGG_OK);
          assert_true(plan_steps_text(&made, text, sizeof text));
          if (plan_from_steps(&devices[d], layers, LAYERS, batch, &options, text, "tuned", &found))
            fail_msg("%s: %s", text, clvgg_last_error());
          expect_same(&found, &made, "tuned");
          assert_true(plan_steps_text(&found, again, sizeof again));
          assert_string_equal(again, text);
          plan_free(&made);
          plan_free(&found);
        }
}

static void a_text_that_does_not_fit_is_told(void **state) {
  (void)state;
  layer layers[LAYERS];
  make_layers(layers);
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  plan p;
  char text[PLAN_STEPS_BYTES], small[PLAN_STEPS_BYTES];
  assert_int_equal(plan_make(&cpu, layers, LAYERS, 1, &(plan_options){0}, &p), CLVGG_OK);
  assert_true(plan_steps_text(&p, text, sizeof text));
  const size_t length = strlen(text);
  assert_true(plan_steps_text(&p, small, length + 1));
  for (size_t bytes = 0; bytes <= length; bytes++) {
    memset(small, '#', sizeof small);
    assert_false(plan_steps_text(&p, small, bytes));
    assert_int_equal(small[bytes], '#');
    if (bytes) assert_int_equal(strlen(small) < bytes, 1);
  }
  plan_free(&p);
}

#define TAIL     "; maxpool_f32_nchw_naive 1; fc_f32_naive 1; fc_f32_naive 1"
#define MIDDLE   "; maxpool_f32_nchw_naive 1; conv_f32_nchw_naive 1" TAIL
#define PLAIN    "conv_f32_nchw_naive 1; conv_f32_nchw_naive 1" MIDDLE
#define WINOGRAD "conv_f32_nchw_naive 1; convert_f32_nchw_nchwc; conv_f32_nchwc_winograd "

static const struct {
  const char *text;
  clvgg_status status;
  const char *said; /* a part of the error's text */
} cases[] = {
    {PLAIN, CLVGG_OK, NULL},
    {WINOGRAD "[M=4 TILES=6 OC_BLOCKS=1] 2; convert_f32_nchwc_nchw; conv_f32_nchw_naive 1" TAIL, CLVGG_OK, NULL},
    /* The form of the text. */
    {"", CLVGG_ERROR_FORMAT, "''"},
    {" ", CLVGG_ERROR_FORMAT, "is no step"},
    {"; ", CLVGG_ERROR_FORMAT, "is no step"},
    {PLAIN "; ", CLVGG_ERROR_FORMAT, "''"},
    {PLAIN ";", CLVGG_ERROR_FORMAT, "is no step"},
    {PLAIN " ", CLVGG_ERROR_FORMAT, "is no step"},
    {"conv_f32_nchw_naive 1;conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "is no step"},
    {"conv_f32_nchw_naive; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "'conv_f32_nchw_naive'"},
    {"conv_f32_nchw_naive 0; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "is no step"},
    {"conv_f32_nchw_naive 3; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "is no step"},
    {"conv_f32_nchw_naive 11; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "is no step"},
    {"conv_f32_nchw_naive  1; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "is no step"},
    {"conv_f32_nchw_naive [] 1; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "is no step"},
    {WINOGRAD "[M=4 TILES=6 OC_BLOCKS=1 2", CLVGG_ERROR_FORMAT, "is no step"},
    {"convert_f32_nchw_nchwc 1; convert_f32_nchwc_nchw; " PLAIN, CLVGG_ERROR_FORMAT, "is no step"},
    /* Algorithms and parameters. */
    {"conv_f32_nchw_magic 1; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "conv_f32_nchw_magic"},
    {"conv_f32_nchw_naive [TILE=1] 1; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_FORMAT, "is no step"},
    {WINOGRAD "2", CLVGG_ERROR_FORMAT, "is no step"},
    {WINOGRAD "[M=4 TILES=6] 2", CLVGG_ERROR_FORMAT, "is no step"},
    {WINOGRAD "[M=4 OC_BLOCKS=1 TILES=6] 2", CLVGG_ERROR_FORMAT, "is no step"},
    {WINOGRAD "[M=5 TILES=6 OC_BLOCKS=1] 2", CLVGG_ERROR_UNSUPPORTED, "M cannot be 5"},
    {WINOGRAD "[M=0 TILES=6 OC_BLOCKS=1] 2", CLVGG_ERROR_UNSUPPORTED, "M cannot be 0"},
    /* Layers. */
    {"conv_f32_nchw_naive 1", CLVGG_ERROR_UNSUPPORTED, "1 of 7 layers"},
    {"convert_f32_nchw_nchwc; convert_f32_nchwc_nchw", CLVGG_ERROR_UNSUPPORTED, "0 of 7 layers"},
    {PLAIN "; fc_f32_naive 1", CLVGG_ERROR_UNSUPPORTED, "step 8 of the plan, fc_f32_naive, does not fit"},
    {"fc_f32_naive 1; " PLAIN, CLVGG_ERROR_UNSUPPORTED, "step 1 of the plan"},
    {"conv_f32_nchw_naive 1; conv_f32_nchw_naive 1; conv_f32_nchw_naive 1" TAIL, CLVGG_ERROR_UNSUPPORTED, "step 3"},
    {"maxpool_f32_nchw_naive 2; conv_f32_nchw_naive 1" MIDDLE, CLVGG_ERROR_UNSUPPORTED, "step 1"},
    /* A pooling where none follows, one by what cannot, and one beyond the end. */
    {"convert_f32_nchw_nchwc; conv_f32_nchwc_winograd [M=4 TILES=6 OC_BLOCKS=1] 2", CLVGG_ERROR_UNSUPPORTED, "step 2"},
    {"conv_f32_nchw_naive 1; conv_f32_nchw_naive 2; conv_f32_nchw_naive 1" TAIL, CLVGG_ERROR_UNSUPPORTED, "pooling"},
    {"conv_f32_nchw_naive 1; conv_f32_nchw_naive 1" MIDDLE "; fc_f32_naive 2", CLVGG_ERROR_UNSUPPORTED, "step 8"},
    /* Layouts. */
    {"conv_f32_nchw_naive 1; conv_f32_nchwc_winograd [M=4 TILES=6 OC_BLOCKS=1] 2", CLVGG_ERROR_UNSUPPORTED, "step 2"},
    {"convert_f32_nchwc_nchw; " PLAIN, CLVGG_ERROR_UNSUPPORTED, "step 1"},
    {"convert_f32_nchw_nchwc; " PLAIN, CLVGG_ERROR_UNSUPPORTED, "step 2"},
    {PLAIN "; convert_f32_nchw_nchwc", CLVGG_ERROR_UNSUPPORTED, "in the layout NCHW16c"},
    {"convert_u8_nhwc_nchw; " PLAIN, CLVGG_ERROR_UNSUPPORTED, "step 1"},
    /* A form of weights that nobody allowed. */
    {"conv_f32_nchw_naive 1; conv_f32_nchw_naive 1; maxpool_f32_nchw_naive 1; conv_f32_nchw_naive 1; "
     "maxpool_f32_nchw_naive 1; fc_f16w_gemv [ROWS=1 IMAGES=1] 1; fc_f32_naive 1",
     CLVGG_ERROR_UNSUPPORTED, "step 6 of the plan, fc_f16w_gemv, is not allowed"},
};

static void damaged_plans_are_refused(void **state) {
  (void)state;
  layer layers[LAYERS];
  make_layers(layers);
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    plan p;
    memset(&p, 0xff, sizeof p);
    const clvgg_status status =
        plan_from_steps(&cpu, layers, LAYERS, 1, &(plan_options){0}, cases[i].text, "tuned", &p);
    if (status != cases[i].status)
      fail_msg("'%s': %s (%s)", cases[i].text, clvgg_status_name(status), clvgg_last_error());
    if (status == CLVGG_OK) {
      plan_free(&p);
      continue;
    }
    if (!strstr(clvgg_last_error(), cases[i].said)) fail_msg("'%s': %s", cases[i].text, clvgg_last_error());
    assert_null(p.steps);
    assert_int_equal(p.count, 0);
  }
}

/* The same text, where its options differ. */
static void options_decide(void **state) {
  (void)state;
  layer layers[LAYERS];
  make_layers(layers);
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  plan p;
  const char *half = cases[sizeof cases / sizeof *cases - 1].text;
  assert_int_equal(plan_from_steps(&cpu, layers, LAYERS, 1, &(plan_options){.form = ALGO_F16}, half, "tuned", &p),
                   CLVGG_OK);
  plan_free(&p);
  /* Pixels come in a layout of their own. */
  assert_int_equal(plan_from_steps(&cpu, layers, LAYERS, 1, &(plan_options){.rgb8 = true}, PLAIN, "tuned", &p),
                   CLVGG_ERROR_UNSUPPORTED);
  assert_int_equal(plan_from_steps(&cpu, layers, LAYERS, 1, &(plan_options){.rgb8 = true},
                                   "convert_u8_nhwc_nchw; " PLAIN, "tuned", &p),
                   CLVGG_OK);
  plan_free(&p);
  bool excluded[64] = {false};
  for (size_t k = 0; k < algo_count(); k++) excluded[k] = strcmp(algo_get(k)->name, "fc_f32_naive") == 0;
  assert_int_equal(plan_from_steps(&cpu, layers, LAYERS, 1, &(plan_options){.excluded = excluded}, PLAIN, "tuned", &p),
                   CLVGG_ERROR_UNSUPPORTED);
  assert_non_null(strstr(clvgg_last_error(), "step 6 of the plan, fc_f32_naive, is not allowed"));
  /* What the device lacks. */
  clvgg_device_info capped = cpu;
  capped.max_iterations = 10;
  assert_int_equal(plan_from_steps(&capped, layers, LAYERS, 1, &(plan_options){0}, PLAIN, "tuned", &p),
                   CLVGG_ERROR_UNSUPPORTED);
  assert_non_null(strstr(clvgg_last_error(), "iterations"));
}

/* A megabyte of one name, of semicolons, and of steps that are right one by one. */
static void very_long_texts_are_refused(void **state) {
  (void)state;
  layer layers[LAYERS];
  make_layers(layers);
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  enum { BYTES = 1 << 20 };
  static const struct {
    const char *part;
    clvgg_status status;
  } parts[] = {
      {"x", CLVGG_ERROR_FORMAT},
      {";", CLVGG_ERROR_FORMAT},
      {"; ", CLVGG_ERROR_FORMAT},
      {"[", CLVGG_ERROR_FORMAT},
      {"convert_f32_nchw_nchwc; convert_f32_nchwc_nchw; ", CLVGG_ERROR_FORMAT}, /* cut in the midst of a name */
      {"conv_f32_nchw_naive 1; ", CLVGG_ERROR_UNSUPPORTED},
  };
  char *text = malloc(BYTES + 1);
  assert_non_null(text);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const size_t length = strlen(parts[i].part);
    for (size_t at = 0; at < BYTES; at++) text[at] = parts[i].part[at % length];
    text[BYTES] = '\0';
    plan p;
    assert_int_equal(plan_from_steps(&cpu, layers, LAYERS, 1, &(plan_options){0}, text, "tuned", &p), parts[i].status);
    assert_null(p.steps);
    assert_true(strlen(clvgg_last_error()) < 400);
  }
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(made_plans_read_back),        cmocka_unit_test(a_text_that_does_not_fit_is_told),
      cmocka_unit_test(damaged_plans_are_refused),   cmocka_unit_test(options_decide),
      cmocka_unit_test(very_long_texts_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
