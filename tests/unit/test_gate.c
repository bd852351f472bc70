/* What passes the gate for less exact precisions, how that is remembered, and the images that it is found out with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "base/file.h"
#include "base/random.h"
#include "gate/limits.h"
#include "gate/memory.h"
#include "gate/samples.h"
#include "unit/made_up_device.h"

#define IMAGES  4
#define CLASSES 1000

static float want[IMAGES * CLASSES], got[IMAGES * CLASSES];

/* Logits of about 1 with clear first classes, and the same with an error of this size, relative (L2). */
static void make_logits(double error) {
  double square = 0, norm = 0;
  random_fill(1, -1, 1, want, IMAGES * CLASSES);
  random_fill(2, -1, 1, got, IMAGES * CLASSES);
  for (size_t i = 0; i < IMAGES; i++)
    for (size_t k = 0; k < 6; k++) want[i * CLASSES + 100 * k + i] = 3 + (float)k;
  for (size_t i = 0; i < IMAGES * CLASSES; i++) {
    square += (double)got[i] * got[i];
    norm += (double)want[i] * want[i];
  }
  for (size_t i = 0; i < IMAGES * CLASSES; i++)
    got[i] = want[i] + (float)(error * sqrt(norm / square) * (double)got[i]);
}

static clvgg_accuracy judge(clvgg_precision precision) {
  clvgg_accuracy a;
  limits_judge(precision, got, want, IMAGES, CLASSES, &a);
  return a;
}

/* ---- limits */

static void the_error_is_limited(void **state) {
  (void)state;
  static const clvgg_precision precisions[] = {CLVGG_PRECISION_F24W, CLVGG_PRECISION_F16W, CLVGG_PRECISION_F16,
                                               CLVGG_PRECISION_BF16};
  for (size_t i = 0; i < 4; i++) {
    const double limit = limits_error(precisions[i]);
    make_logits(0.9 * limit);
    clvgg_accuracy a = judge(precisions[i]);
    assert_int_equal(a.state, CLVGG_ACCURACY_PASSED);
    assert_int_equal(a.compared, precisions[i]);
    assert_true(fabs(a.rel_l2 - 0.9 * limit) < 0.05 * limit);
    assert_true(a.limit == limit);
    assert_int_equal(a.images, IMAGES);
    assert_int_equal(a.top1_agree, IMAGES);
    assert_int_equal(a.top5_agree, IMAGES);
    assert_int_equal(a.top1_decided, IMAGES);
    assert_int_equal(a.top5_decided, IMAGES);
    assert_string_equal(a.reason, "");
    make_logits(1.1 * limit);
    a = judge(precisions[i]);
    assert_int_equal(a.state, CLVGG_ACCURACY_REFUSED);
    assert_non_null(strstr(a.reason, clvgg_precision_name(precisions[i])));
    assert_non_null(strstr(a.reason, "relative error"));
  }
  assert_true(limits_error(CLVGG_PRECISION_F24W) < limits_error(CLVGG_PRECISION_F16W));
  assert_true(limits_error(CLVGG_PRECISION_F16W) < limits_error(CLVGG_PRECISION_F16));
  assert_true(limits_error(CLVGG_PRECISION_F16) < limits_error(CLVGG_PRECISION_BF16));
}

static void equal_logits_pass(void **state) {
  (void)state;
  make_logits(0);
  const clvgg_accuracy a = judge(CLVGG_PRECISION_F24W);
  assert_int_equal(a.state, CLVGG_ACCURACY_PASSED);
  assert_true(a.rel_l2 == 0 && a.max_rel == 0);
  memset(want, 0, sizeof want);
  memset(got, 0, sizeof got);
  assert_int_equal(judge(CLVGG_PRECISION_F24W).state, CLVGG_ACCURACY_PASSED);
}

static void what_is_not_finite_is_refused(void **state) {
  (void)state;
  static const float wrong[] = {NAN, INFINITY, -INFINITY};
  for (size_t i = 0; i < 3; i++) {
    make_logits(0);
    got[CLASSES + 17] = wrong[i];
    const clvgg_accuracy a = judge(CLVGG_PRECISION_F16);
    assert_int_equal(a.state, CLVGG_ACCURACY_REFUSED);
    assert_true(isinf(a.rel_l2));
    make_logits(0);
    want[CLASSES + 17] = wrong[i];
    assert_int_equal(judge(CLVGG_PRECISION_F16).state, CLVGG_ACCURACY_REFUSED);
  }
}

/* All of the error in one logit: small among a thousand, but another answer. */
static void another_first_class_is_refused(void **state) {
  (void)state;
  make_logits(0);
  for (size_t i = 0; i < IMAGES * CLASSES; i++) want[i] = got[i] = 10;
  for (size_t i = 0; i < IMAGES; i++) want[i * CLASSES] = got[i * CLASSES] = 11;
  assert_int_equal(judge(CLVGG_PRECISION_F16W).state, CLVGG_ACCURACY_PASSED);
  got[2 * CLASSES + 9] = 11.1f;
  clvgg_accuracy a = judge(CLVGG_PRECISION_F16W);
  assert_int_equal(a.state, CLVGG_ACCURACY_REFUSED);
  assert_true(a.rel_l2 <= a.limit);
  assert_int_equal(a.top1_agree, IMAGES - 1);
  assert_non_null(strstr(a.reason, "1 of 4 images"));
  /* What f32 itself does not decide may go either way: nothing from the second class on is. */
  got[2 * CLASSES + 9] = 10.001f;
  a = judge(CLVGG_PRECISION_F16W);
  assert_int_equal(a.state, CLVGG_ACCURACY_PASSED);
  assert_int_equal(a.top5_agree, IMAGES - 1);
  assert_int_equal(a.top5_decided, 0);
}

static void a_near_tie_may_go_either_way(void **state) {
  (void)state;
  make_logits(0);
  want[500] = got[500] = 8.001f;
  want[501] = 8, got[501] = 8.002f;
  clvgg_accuracy a = judge(CLVGG_PRECISION_F16W);
  assert_int_equal(a.state, CLVGG_ACCURACY_PASSED);
  assert_int_equal(a.top1_agree, IMAGES - 1);
  assert_int_equal(a.top1_decided, IMAGES - 1);
  assert_int_equal(a.top5_agree, IMAGES); /* in another order */
}

/* The set of five against the sixth. */
static void another_fifth_class_is_refused(void **state) {
  (void)state;
  make_logits(0);
  got[0] = 4.2f; /* ranked sixth: 3; fifth: 4 */
  const clvgg_accuracy a = judge(CLVGG_PRECISION_F16);
  assert_true(a.rel_l2 > 0);
  assert_int_equal(a.top1_agree, IMAGES);
  assert_int_equal(a.top5_agree, IMAGES - 1);
  assert_int_equal(a.state, CLVGG_ACCURACY_REFUSED);
}

static void few_classes_do(void **state) {
  (void)state;
  static const float three[] = {1, 2, 3}, near[] = {1, 2.0001f, 3}, one[] = {5};
  clvgg_accuracy a;
  limits_judge(CLVGG_PRECISION_F16W, near, three, 1, 3, &a);
  assert_int_equal(a.state, CLVGG_ACCURACY_PASSED);
  assert_int_equal(a.top5_agree, 1);
  limits_judge(CLVGG_PRECISION_F16W, one, one, 1, 1, &a);
  assert_int_equal(a.state, CLVGG_ACCURACY_PASSED);
  assert_int_equal(a.top1_agree, 1);
}

/* ---- memory */

static void figures_are_remembered(void **state) {
  (void)state;
  const clvgg_device_info dev = device(CLVGG_DEVICE_CPU);
  clvgg_accuracy a = {.compared = CLVGG_PRECISION_F16W,
                      .state = CLVGG_ACCURACY_REFUSED,
                      .rel_l2 = INFINITY,
                      .max_rel = 0.1,
                      .limit = limits_error(CLVGG_PRECISION_F16W),
                      .images = 20,
                      .top1_agree = 19,
                      .top5_agree = 18,
                      .top1_decided = 17,
                      .top5_decided = 16,
                      .samples = "given",
                      .reason = "f16w: 3 of 20 images\thave other first classes"};
  clvgg_accuracy found;
  verdicts *v = NULL;
  char one[MEMORY_CASE_BYTES], other[MEMORY_CASE_BYTES];
  assert_int_equal(verdicts_open(&dev, true, &v), CLVGG_OK);
  memory_case("a network", 1, 2, 3, one);
  assert_false(memory_find(v, one, &found));
  memory_add(v, one, &a);
  for (int round = 0; round < 2; round++) { /* before and after it was in the file */
    assert_true(memory_find(v, one, &found));
    assert_int_equal(found.state, CLVGG_ACCURACY_REFUSED);
    assert_int_equal(found.compared, CLVGG_PRECISION_F16W);
    assert_true(isinf(found.rel_l2));
    assert_true(found.max_rel == 0.1 && found.limit == a.limit);
    assert_int_equal(found.images, 20);
    assert_int_equal(found.top1_agree, 19);
    assert_int_equal(found.top5_agree, 18);
    assert_int_equal(found.top1_decided, 17);
    assert_int_equal(found.top5_decided, 16);
    assert_string_equal(found.samples, "given");
    assert_string_equal(found.reason, "f16w: 3 of 20 images have other first classes");
    verdicts_close(&v);
    assert_int_equal(verdicts_open(&dev, true, &v), CLVGG_OK);
  }
  /* Any other weights, plan, images or network are another case. */
  for (uint64_t i = 0; i < 4; i++) {
    memory_case(i == 3 ? "another network" : "a network", 1 + (i == 0), 2 + (i == 1), 3 + (i == 2), other);
    assert_false(memory_find(v, other, &found));
  }
  a = (clvgg_accuracy){.compared = CLVGG_PRECISION_F32};
  memory_add(v, other, &a);
  assert_true(memory_find(v, other, &found));
  assert_int_equal(found.state, CLVGG_ACCURACY_EXACT);
  assert_string_equal(found.samples, "");
  assert_string_equal(found.reason, "");
  a.compared = CLVGG_PRECISION_BF16;
  memory_add(v, other, &a);
  assert_true(memory_find(v, other, &found));
  assert_int_equal(found.compared, CLVGG_PRECISION_BF16);
  assert_true(found.limit == limits_error(CLVGG_PRECISION_BF16));
  /* A row that says something else is none. */
  verdicts_add(v, one, true, "f99 0 0 1 1 1 1 1 given ");
  assert_false(memory_find(v, one, &found));
  verdicts_add(v, one, true, "auto 0 0 1 1 1 1 1 given ");
  assert_false(memory_find(v, one, &found));
  verdicts_add(v, one, true, "f16w 0 0 1");
  assert_false(memory_find(v, one, &found));
  assert_false(memory_find(NULL, one, &found));
  memory_add(NULL, one, &a);
  verdicts_close(&v);
}

/* Large enough to be read in parts. */
#define WEIGHTS ((size_t)3 << 20)

static void every_weight_counts(void **state) {
  (void)state;
  float *values = malloc(WEIGHTS * sizeof *values), bias[4] = {1, 2, 3, 4}, scale[4] = {1, 1, 1, 1};
  assert_non_null(values);
  random_fill(1, -1, 1, values, WEIGHTS);
  const tensor weight = {.dtype = TENSOR_F32, .data = values, .bytes = WEIGHTS * sizeof *values};
  layer l = {.shape = {.op = LAYER_FC, .out = {4, 1, 1}}, .weight = &weight, .scale = scale, .bias = bias};
  const uint64_t digest = memory_weights(&l, 1);
  assert_true(digest == memory_weights(&l, 1));
  static const size_t places[] = {0, 1, 2, 7, 1000, (8 << 18) - 1, 8 << 18, WEIGHTS - 1};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    values[places[i]] = -values[places[i]];
    assert_true(digest != memory_weights(&l, 1));
    /* Two signs are the highest bits of two words of one lane. */
    const size_t next = (places[i] + 16) % WEIGHTS;
    values[next] = -values[next];
    assert_true(digest != memory_weights(&l, 1));
    values[next] = -values[next];
    values[places[i]] = -values[places[i]];
  }
  assert_true(digest == memory_weights(&l, 1));
  bias[3] = 5;
  assert_true(digest != memory_weights(&l, 1));
  bias[3] = 4;
  scale[0] = 2;
  assert_true(digest != memory_weights(&l, 1));
  free(values);
}

/* ---- samples */

static const clvgg_preprocess pre = {.struct_size = sizeof pre, .width = 32, .height = 32, .std = {1, 1, 1}};
static const shape3 input = {3, 32, 32};

static void bundled_images_are_found(void **state) {
  (void)state;
  clvgg_engine_options o = {.input = CLVGG_INPUT_RGB8};
  samples s;
  assert_int_equal(samples_find(&o, &pre, input, &s), CLVGG_OK);
  assert_string_equal(s.source, "bundled");
  assert_int_equal(s.count, 20);
  assert_null(s.data);
  const uint64_t digest = s.digest;
  assert_int_equal(samples_load(&o, &pre, input, &s), CLVGG_OK);
  assert_string_equal(s.source, "bundled");
  /* No image is another's copy. */
  const char *pixels = s.data;
  for (size_t i = 0; i < s.count; i++)
    for (size_t k = 0; k < i; k++) assert_memory_not_equal(pixels + i * 3072, pixels + k * 3072, 3072);
  samples_free(&s);
  /* Another normalisation makes other inputs of the same files. */
  clvgg_preprocess other = pre;
  other.mean[1] = 1;
  assert_int_equal(samples_find(&o, &other, input, &s), CLVGG_OK);
  assert_true(s.digest != digest);
  samples_free(&s);
  /* Larger ones, in f32. */
  o.input = CLVGG_INPUT_F32;
  const shape3 large = {3, 40, 48};
  assert_int_equal(samples_find(&o, &pre, large, &s), CLVGG_OK);
  assert_int_equal(samples_load(&o, &pre, large, &s), CLVGG_OK);
  const float *values = s.data;
  for (size_t i = 0; i < s.count * 3 * 40 * 48; i++) assert_true(values[i] >= 0 && values[i] <= 255);
  samples_free(&s);
}

static void the_callers_images_come_first(void **state) {
  (void)state;
  float mine[2 * 3072] = {0};
  clvgg_engine_options o = {.samples = mine, .sample_count = 2};
  samples s;
  assert_int_equal(samples_find(&o, &pre, input, &s), CLVGG_OK);
  assert_int_equal(samples_load(&o, &pre, input, &s), CLVGG_OK);
  assert_string_equal(s.source, "given");
  assert_int_equal(s.count, 2);
  assert_ptr_equal(s.data, mine);
  const uint64_t digest = s.digest;
  mine[6143] = 1;
  assert_int_equal(samples_find(&o, &pre, input, &s), CLVGG_OK);
  assert_true(s.digest != digest);
  samples_free(&s);
}

static void without_images_there_is_noise(void **state) {
  (void)state;
  static const char *const lists[] = {"no-such-image.png\n", "index.txt\n"};
  char folder[] = "/tmp/clvgg-test-gate-XXXXXX", path[128];
  const clvgg_engine_options o = {.input = CLVGG_INPUT_RGB8};
  samples s;
  assert_non_null(mkdtemp(folder));
  setenv("CLVGG_DATA_DIR", folder, 1);
  snprintf(path, sizeof path, "%s/%s", folder, SAMPLES_LIST);
  assert_int_equal(file_make_folder(path), CLVGG_OK);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(file_write(path, lists[i], strlen(lists[i])), CLVGG_OK);
    assert_int_equal(samples_find(&o, &pre, input, &s), CLVGG_OK);
    assert_int_equal(samples_load(&o, &pre, input, &s), CLVGG_OK);
    assert_string_equal(s.source, "noise");
    assert_int_equal(s.count, SAMPLES_NOISE);
    samples_free(&s);
  }
  unsetenv("CLVGG_DATA_DIR");
  unlink(path);
  *strrchr(path, '/') = '\0';
  rmdir(path);
  rmdir(folder);
  /* Images have three channels. */
  assert_int_equal(samples_find(&(clvgg_engine_options){0}, &pre, (shape3){4, 32, 32}, &s), CLVGG_OK);
  assert_string_equal(s.source, "noise");
  assert_int_equal(samples_load(&(clvgg_engine_options){0}, &pre, (shape3){4, 32, 32}, &s), CLVGG_OK);
  samples_free(&s);
}

static void sizes_are_checked(void **state) {
  (void)state;
  samples s;
  assert_int_equal(samples_find(&(clvgg_engine_options){0}, &pre, (shape3){3, SIZE_MAX / 64, 32}, &s),
                   CLVGG_ERROR_TOO_LARGE);
}

/* The verdicts of this test, in a folder of its own. */
static char cache[] = "/tmp/clvgg-test-gate-XXXXXX";

static int make_cache(void **state) {
  (void)state;
  return !mkdtemp(cache) || setenv("XDG_CACHE_HOME", cache, 1);
}

static int remove_cache(void **state) {
  (void)state;
  char path[128];
  snprintf(path, sizeof path, "%s/clvgg/" VERDICTS_FILE, cache);
  unlink(path);
  *strrchr(path, '/') = '\0';
  rmdir(path);
  return rmdir(cache);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_error_is_limited),
      cmocka_unit_test(equal_logits_pass),
      cmocka_unit_test(what_is_not_finite_is_refused),
      cmocka_unit_test(another_first_class_is_refused),
      cmocka_unit_test(a_near_tie_may_go_either_way),
      cmocka_unit_test(another_fifth_class_is_refused),
      cmocka_unit_test(few_classes_do),
      cmocka_unit_test(figures_are_remembered),
      cmocka_unit_test(every_weight_counts),
      cmocka_unit_test(bundled_images_are_found),
      cmocka_unit_test(the_callers_images_come_first),
      cmocka_unit_test(without_images_there_is_noise),
      cmocka_unit_test(sizes_are_checked),
  };
  return cmocka_run_group_tests_name("gate", tests, make_cache, remove_cache);
}
