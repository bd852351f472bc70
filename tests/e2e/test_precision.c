/* Less exact precisions: used where answers stay as in f32, refused where they do not, and how the program and the library say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "clvgg/clvgg.h"
#include "e2e/cli.h"

#define BUNDLED HOST_DATA_DIR "/vgg16_bn_half_cifar10.safetensors"

/* ---- a model: convolution 3 -> 32, pool, convolution 32 -> 32, pool, 2048 -> 256, 256 -> 10, of inputs of 32x32 */

typedef struct part {
  const char *name, *shape;
  size_t count;
} part;

static const part parts[] = {{"features.0.weight", "32,3,3,3", 864},      {"features.0.bias", "32", 32},
                             {"features.3.weight", "32,32,3,3", 9216},    {"features.3.bias", "32", 32},
                             {"classifier.0.weight", "256,2048", 524288}, {"classifier.0.bias", "256", 256},
                             {"classifier.3.weight", "10,256", 2560},     {"classifier.3.bias", "10", 10}};
enum { PARTS = sizeof parts / sizeof *parts, WIDE = 4 /* of parts: the first fully connected layer's weights */ };

/* Seeded weights that keep activations' size, zero biases, and every weight of the first fully connected layer times scale. */
static void write_model(const char *name, float scale) {
  char header[2048];
  size_t total = 0;
  int length = snprintf(header, sizeof header, "{");
  for (size_t i = 0; i < PARTS; i++) {
    length += snprintf(header + length, sizeof header - (size_t)length,
                       "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", i ? "," : "",
                       parts[i].name, parts[i].shape, 4 * total, 4 * (total + parts[i].count));
    total += parts[i].count;
  }
  length += snprintf(header + length, sizeof header - (size_t)length, "}");
  while (length % 8) header[length++] = ' ';
  const size_t start = 8 + (size_t)length;
  unsigned char *file = calloc(1, start + 4 * total);
  assert_non_null(file);
  file[0] = (unsigned char)length;
  file[1] = (unsigned char)(length >> 8);
  memcpy(file + 8, header, (size_t)length);
  float *value = (float *)(void *)(file + start);
  uint32_t seed = 1;
  for (size_t i = 0; i < PARTS; i++) {
    const size_t rows = (size_t)strtoul(parts[i].shape, NULL, 10), inputs = parts[i].count / rows;
    for (size_t k = 0; k < parts[i].count; k++) {
      seed = seed * 1664525 + 1013904223; /* Numerical Recipes */
      if (inputs > 1)
        value[k] = ((float)(seed >> 8) * 0x1p-23f - 1) * sqrtf(6.0f / (float)inputs) * (i == WIDE ? scale : 1);
    }
    value += parts[i].count;
  }
  write_file(name, file, start + 4 * total);
  free(file);
}

/* The only result of a bench run in JSON; the caller releases it. */
static json_t *bench(const char *model, const char *precision) {
  run("bench --json -m %s -n 1 --precision %s", model, precision);
  expect_code(0);
  json_t *list = parse(), *result = json_incref(json_array_get(list, 0));
  assert_int_equal(json_array_size(list), 1);
  json_decref(list);
  return result;
}

/* ---- what a device can do */

/* Whether it has algorithms that store weights in fewer bits, and takes them. */
static int has_fewer_bits(void) {
  static int known = -1;
  if (known >= 0) return known;
  setenv("CLVGG_TRUST", "always", 1);
  json_t *result = bench(BUNDLED, "f24w");
  unsetenv("CLVGG_TRUST");
  known = strcmp(text(result, "precision"), "f32") != 0;
  json_decref(result);
  return known;
}

static const json_t *accuracy(const json_t *result) {
  return field(result, "accuracy", JSON_OBJECT);
}

/* Any layer's source says so. */
static int has_source(const json_t *result, const char *words) {
  const json_t *layers = field(result, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++)
    if (strstr(text(json_array_get(layers, i), "source"), words)) return 1;
  return 0;
}

/* ---- the program */

/* Its fully connected layers were trained to f16, so that these lose nothing; 24 bits lose what f32's own sums do. */
static void the_bundled_model_loses_next_to_nothing(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double error;
  } cases[] = {{"f16w", 1e-6}, {"f24w", 2e-6}};
  for (size_t i = 0; i < 2; i++) {
    json_t *result = bench(BUNDLED, cases[i].name);
    const json_t *a = accuracy(result);
    assert_true(json_is_true(field(a, "passed", JSON_TRUE)));
    assert_true(number(a, "rel_l2") <= cases[i].error);
    assert_true(number(a, "max_rel") <= 10 * cases[i].error);
    if (has_fewer_bits()) {
      assert_string_equal(text(result, "precision"), cases[i].name);
      assert_string_equal(text(a, "precision"), cases[i].name);
      assert_string_equal(text(a, "samples"), "bundled");
      assert_true(number(a, "limit") > 0);
      assert_int_equal(number(a, "images"), 20);
      assert_int_equal(number(a, "top1_agree"), 20);
      assert_int_equal(number(a, "top5_agree"), 20);
    } else {
      assert_string_equal(text(result, "precision"), "f32");
    }
    json_decref(result);
  }
}

static void f32_is_exact(void **state) {
  (void)state;
  json_t *result = bench(BUNDLED, "f32");
  const json_t *a = accuracy(result);
  assert_string_equal(text(result, "precision"), "f32");
  assert_true(json_is_true(field(a, "passed", JSON_TRUE)));
  assert_true(number(a, "rel_l2") == 0);
  assert_int_equal(number(a, "images"), 0);
  json_decref(result);
}

/* Weights of about 1e-7 are at the end of what halves can be, where they have a bit or two; 24 bits have a scale for each row. */
static void what_loses_too_much_is_refused(void **state) {
  (void)state;
  char model[4096];
  write_model("tiny-weights.safetensors", 3e-6f);
  make_path(model, "tiny-weights.safetensors");
  /* Found out, remembered, found out anew. */
  for (int round = 0; round < 3 && has_fewer_bits(); round++) {
    if (round == 2) setenv("CLVGG_TRUST", "never", 1);
    json_t *result = bench(model, "f16w");
    unsetenv("CLVGG_TRUST");
    const json_t *a = accuracy(result);
    assert_string_equal(text(result, "precision"), "f32");
    assert_string_equal(text(a, "precision"), "f16w");
    assert_true(json_is_false(field(a, "passed", JSON_TRUE)));
    assert_true(number(a, "rel_l2") > number(a, "limit"));
    assert_non_null(strstr(text(a, "reason"), "f16w: the logits' relative error is"));
    assert_true(has_source(result, "; f16w refused"));
    json_decref(result);
  }
  json_t *result = bench(model, "f24w");
  assert_true(json_is_true(field(accuracy(result), "passed", JSON_TRUE)));
  assert_string_equal(text(result, "precision"), has_fewer_bits() ? "f24w" : "f32");
  assert_false(has_source(result, "refused"));
  json_decref(result);
  result = bench(model, "auto");
  assert_true(strcmp(text(result, "precision"), "f16w") != 0);
  assert_true(json_is_true(field(accuracy(result), "passed", JSON_TRUE)));
  if (has_fewer_bits()) assert_non_null(strstr(text(accuracy(result), "reason"), "f16w refused"));
  json_decref(result);
  if (!has_fewer_bits()) return;
  run("classify -m %s --precision f16w %s", model, image);
  expect_code(0);
  assert_non_null(strstr(last.err, "note: f32 is used, not f16w: the logits'"));
  run("eval -m %s --precision f16w --limit 1 %s", model, images);
  run("explain -m %s --precision f16w -n 1", model);
  expect_code(0);
  assert_non_null(strstr(last.out, "Precision: f32 is used, not f16w: the logits'"));
}

static void weights_that_do_not_fit_are_refused(void **state) {
  (void)state;
  char model[4096];
  write_model("large-weights.safetensors", 2e6f);
  make_path(model, "large-weights.safetensors");
  for (int round = 0; round < 2 && has_fewer_bits(); round++) {
    json_t *result = bench(model, "f16w");
    assert_string_equal(text(result, "precision"), "f32");
    assert_true(json_is_false(field(accuracy(result), "passed", JSON_TRUE)));
    assert_non_null(strstr(text(accuracy(result), "reason"), "65520"));
    json_decref(result);
  }
}

static void unchecked_is_what_was_asked_for(void **state) {
  (void)state;
  char model[4096];
  write_model("tiny-weights.safetensors", 3e-6f);
  make_path(model, "tiny-weights.safetensors");
  setenv("CLVGG_TRUST", "always", 1);
  json_t *result = bench(model, "f16w");
  unsetenv("CLVGG_TRUST");
  const json_t *a = accuracy(result);
  if (has_fewer_bits()) {
    assert_string_equal(text(result, "precision"), "f16w");
    assert_true(json_is_null(field(a, "passed", JSON_NULL)));
    assert_true(json_is_null(field(a, "rel_l2", JSON_NULL)));
  }
  json_decref(result);
}

static void samples_are_read(void **state) {
  (void)state;
  char list[4096], names[8192];
  const int length = snprintf(names, sizeof names, "# two of them\n%s\n\n%s\n", image, image);
  write_file("samples.txt", names, (size_t)length);
  make_path(list, "samples.txt");
  const char *const from[] = {images, list};
  static const int counts[] = {200, 2};
  for (size_t i = 0; i < 2 && has_fewer_bits(); i++) {
    run("bench --json -m %s -n 1 --precision f24w --samples %s", BUNDLED, from[i]);
    expect_code(0);
    json_t *l = parse();
    const json_t *a = accuracy(json_array_get(l, 0));
    assert_string_equal(text(a, "samples"), "given");
    assert_int_equal(number(a, "images"), counts[i]);
    assert_int_equal(number(a, "top1_agree"), counts[i]);
    json_decref(l);
  }
  run("classify --precision f16w --samples /no/such %s", image);
  expect_error(1, "--samples: /no/such: cannot read");
  run("classify --precision f16w --samples %s %s", image, image); /* an image is no list */
  assert_int_equal(last.code, 1);
  run("tune --precision auto");
  expect_error(2, "every precision has plans of its own");
}

/* A choice is made once. */
static void auto_uses_what_passes(void **state) {
  (void)state;
  char first[64] = "";
  for (int round = 0; round < 2; round++) {
    json_t *result = bench(BUNDLED, "auto");
    const json_t *a = accuracy(result);
    assert_true(json_is_true(field(a, "passed", JSON_TRUE)));
    /* Halves lose nothing of this model, so only products of bf16 make an error. */
    const int is_bf16 = strcmp(text(result, "precision"), "bf16") == 0;
    assert_true(number(a, "rel_l2") <= (is_bf16 ? number(a, "limit") : 2e-6));
    if (has_fewer_bits()) assert_int_equal(strncmp(text(a, "reason"), "f32 ", 4), 0);
    if (round) assert_string_equal(text(a, "reason"), first);
    snprintf(first, sizeof first, "%s", text(a, "reason"));
    json_decref(result);
  }
  run("eval --json --precision auto --limit 8 %s", images);
  expect_code(0);
  json_t *result = parse();
  assert_non_null(text(result, "precision"));
  assert_true(json_is_true(field(accuracy(result), "passed", JSON_TRUE)));
  json_decref(result);
  run("explain --json --precision auto -n 1 -m %s", BUNDLED);
  expect_code(0);
  result = parse();
  assert_non_null(text(result, "precision"));
  assert_true(json_is_true(field(accuracy(result), "passed", JSON_TRUE)));
  json_decref(result);
}

/* Products of bf16 are for processors that have the instructions; elsewhere a plan has the more exact forms that bf16 allows, too. */
static void bf16_is_used_where_it_can_be(void **state) {
  (void)state;
  clvgg_device *device = NULL;
  clvgg_device_info info;
  assert_int_equal(clvgg_device_open(NULL, &device), CLVGG_OK);
  clvgg_device_get_info(device, &info);
  clvgg_device_close(&device);
  json_t *result = bench(BUNDLED, "bf16");
  const json_t *layers = field(result, "layers", JSON_ARRAY);
  bool found = false;
  for (size_t i = 0; i < json_array_size(layers); i++)
    found = found || strstr(text(json_array_get(layers, i), "algorithm"), "_bf16_");
  if (!info.amx_bf16 && !info.avx512_bf16) assert_false(found);
  assert_int_equal(strcmp(text(result, "precision"), "bf16") == 0, found);
  assert_true(json_is_true(field(accuracy(result), "passed", JSON_TRUE)));
  json_decref(result);
}

/* Algorithms by their names: the plan that they are compared with has none of them. */
static void names_are_compared_too(void **state) {
  (void)state;
  if (!has_fewer_bits()) return;
  char model[4096];
  write_model("tiny-weights.safetensors", 3e-6f);
  make_path(model, "tiny-weights.safetensors");
  run("bench --json -m %s -n 1 --precision f16w --algorithm fc_f16w_gemv,conv_f32_nchw_direct", model);
  expect_code(0);
  json_t *list = parse();
  const json_t *result = json_array_get(list, 0);
  assert_string_equal(text(result, "precision"), "f32");
  assert_true(json_is_false(field(accuracy(result), "passed", JSON_TRUE)));
  assert_string_equal(text(json_array_get(field(result, "layers", JSON_ARRAY), 0), "algorithm"),
                      "conv_f32_nchw_direct");
  json_decref(list);
  /* Without a precision, a name is an order. */
  run("bench --json -m %s -n 1 --algorithm fc_f16w_gemv", model);
  expect_code(0);
  list = parse();
  result = json_array_get(list, 0);
  assert_string_equal(text(result, "precision"), "f16w");
  assert_true(json_is_null(field(accuracy(result), "passed", JSON_NULL)));
  assert_non_null(strstr(text(accuracy(result), "reason"), "by name"));
  json_decref(list);
}

/* ---- the library */

typedef struct opened {
  clvgg_device *device;
  clvgg_model *model;
  clvgg_engine *engine;
} opened;

static clvgg_status open_engine(const char *model, const clvgg_engine_options *options, opened *out) {
  *out = (opened){0};
  assert_int_equal(clvgg_device_open(NULL, &out->device), CLVGG_OK);
  assert_int_equal(clvgg_model_open(model, NULL, &out->model), CLVGG_OK);
  return clvgg_engine_open(out->device, out->model, options, &out->engine);
}

static void close_engine(opened *o) {
  clvgg_engine_close(&o->engine);
  clvgg_model_close(&o->model);
  clvgg_device_close(&o->device);
}

/* An image each of a quarter of black, so that the answers differ. */
static float pictures[5][3 * 32 * 32];

static void make_pictures(void) {
  for (size_t i = 0; i < 5; i++)
    for (size_t k = 0; k < 3072; k++) pictures[i][k] = (float)((k * (i + 3)) % 97) / 48 - 1;
}

static void the_callers_samples_decide(void **state) {
  (void)state;
  clvgg_engine_options options;
  clvgg_accuracy a;
  opened o;
  make_pictures();
  clvgg_engine_options_init(&options);
  options.precision = CLVGG_PRECISION_F24W;
  options.max_batch = 2;
  options.samples = pictures;
  options.sample_count = 5;
  for (int softmax = 0; softmax < 2; softmax++) { /* logits are compared, not probabilities */
    float answer[5][10], sum = 0;
    options.softmax = softmax;
    assert_int_equal(open_engine(NULL, &options, &o), CLVGG_OK);
    clvgg_engine_get_accuracy(o.engine, &a);
    if (has_fewer_bits()) {
      assert_int_equal(a.state, CLVGG_ACCURACY_PASSED);
      assert_int_equal(a.precision, CLVGG_PRECISION_F24W);
      assert_int_equal(a.images, 5);
      assert_string_equal(a.samples, "given");
      assert_true(a.rel_l2 > 0 && a.rel_l2 <= 2e-6);
    }
    assert_int_equal(clvgg_engine_run(o.engine, pictures[0], 5, answer[0]), CLVGG_OK);
    for (size_t k = 0; k < 10; k++) sum += answer[4][k];
    assert_int_equal(fabsf(sum - 1) < 1e-5f, softmax);
    clvgg_engine_info info;
    clvgg_engine_get_info(o.engine, &info);
    assert_true(info.open_ms > 0);
    close_engine(&o);
  }
  options.sample_count = 0;
  assert_int_equal(open_engine(NULL, &options, &o), CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "sample_count is 0, expected 1 to 1024"));
  close_engine(&o);
  options.sample_count = CLVGG_MAX_SAMPLES + 1;
  assert_int_equal(open_engine(NULL, &options, &o), CLVGG_ERROR_ARGUMENT);
  close_engine(&o);
  clvgg_engine_get_accuracy(NULL, &a);
  assert_int_equal(a.state, CLVGG_ACCURACY_EXACT);
  clvgg_engine_get_accuracy(NULL, NULL);
}

/* An engine left in f32 computes what one opened so does. */
static void a_refused_engine_is_f32(void **state) {
  (void)state;
  char model[4096];
  clvgg_engine_options options;
  float expected[5][10], got[5][10];
  opened o;
  make_pictures();
  write_model("tiny-weights.safetensors", 3e-6f);
  make_path(model, "tiny-weights.safetensors");
  clvgg_engine_options_init(&options);
  options.max_batch = 5;
  assert_int_equal(open_engine(model, &options, &o), CLVGG_OK);
  assert_int_equal(clvgg_engine_run(o.engine, pictures[0], 5, expected[0]), CLVGG_OK);
  close_engine(&o);
  options.precision = CLVGG_PRECISION_F16W;
  for (int round = 0; round < 2; round++) {
    clvgg_accuracy a;
    assert_int_equal(open_engine(model, &options, &o), CLVGG_OK);
    clvgg_engine_get_accuracy(o.engine, &a);
    assert_int_equal(a.precision, CLVGG_PRECISION_F32);
    assert_int_equal(clvgg_engine_run(o.engine, pictures[0], 5, got[0]), CLVGG_OK);
    assert_memory_equal(got, expected, sizeof got);
    close_engine(&o);
  }
}

/* Options of a program that was built before there were samples. */
static void older_options_do(void **state) {
  (void)state;
  clvgg_engine_options options;
  opened o;
  clvgg_engine_options_init(&options);
  options.precision = CLVGG_PRECISION_F24W;
  options.struct_size = offsetof(clvgg_engine_options, samples);
  options.samples = (const void *)(uintptr_t)1; /* not looked at */
  options.sample_count = 99;
  assert_int_equal(open_engine(NULL, &options, &o), CLVGG_OK);
  close_engine(&o);
}

static int set_up_with_cache(void **state) {
  char path[4096];
  if (set_up(state)) return -1;
  make_path(path, "cache");
  return setenv("XDG_CACHE_HOME", path, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bundled_model_loses_next_to_nothing),
      cmocka_unit_test(f32_is_exact),
      cmocka_unit_test(what_loses_too_much_is_refused),
      cmocka_unit_test(weights_that_do_not_fit_are_refused),
      cmocka_unit_test(unchecked_is_what_was_asked_for),
      cmocka_unit_test(samples_are_read),
      cmocka_unit_test(auto_uses_what_passes),
      cmocka_unit_test(bf16_is_used_where_it_can_be),
      cmocka_unit_test(names_are_compared_too),
      cmocka_unit_test(the_callers_samples_decide),
      cmocka_unit_test(a_refused_engine_is_f32),
      cmocka_unit_test(older_options_do),
  };
  return cmocka_run_group_tests_name("precision", tests, set_up_with_cache, tear_down);
}
