/* The program on several devices at once, of different drivers in one process: PoCL and rusticl, where both are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/cli.h"

#define BUNDLED HOST_DATA_DIR "/vgg16_bn_half_cifar10.safetensors"
#define IMAGES  24

static char first[16]; /* the id of a device that is no rasteriser */
static size_t usable;

static int find_devices(void **state) {
  if (set_up(state)) return -1;
  run("devices --json");
  expect_code(0);
  json_t *list = parse();
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *d = json_array_get(list, i);
    if (!json_is_true(field(d, "usable", JSON_TRUE))) continue;
    usable++;
    if (!*first && !json_is_true(field(d, "software_rasteriser", JSON_TRUE)))
      snprintf(first, sizeof first, "%s", text(d, "id"));
  }
  json_decref(list);
  return 0;
}

/* The lines of two files of predictions agree but for the last bits of the probability. */
static void expect_same_predictions(const char *path, const char *other_path) {
  FILE *one = fopen(path, "r"), *other = fopen(other_path, "r");
  assert_true(one && other);
  char a[4096], b[4096];
  size_t lines = 0;
  for (; fgets(a, sizeof a, one); lines++) {
    assert_non_null(fgets(b, sizeof b, other));
    char *p = strrchr(a, ','), *q = strrchr(b, ',');
    assert_true(p && q && p - a == q - b && !memcmp(a, b, (size_t)(p - a)));
    if (lines) assert_true(fabs(strtod(p + 1, NULL) - strtod(q + 1, NULL)) < 1e-4);
  }
  assert_int_equal(lines, IMAGES + 1);
  fclose(one);
  fclose(other);
}

static void eval_answers_as_on_one(void **state) {
  (void)state;
  if (usable < 2) skip();
  char all[4096], one[4096];
  make_path(all, "all.csv");
  make_path(one, "one.csv");
  run("eval %s --limit %d -d %s --predictions %s", images, IMAGES, first, one);
  expect_code(0);
  run("eval %s --limit %d -b 2 -d all --predictions %s --json", images, IMAGES, all);
  expect_code(0);
  expect_same_predictions(all, one);
  json_t *o = parse();
  const json_t *devices = field(o, "devices", JSON_ARRAY);
  assert_int_equal(json_array_size(devices), usable);
  double sum = 0;
  for (size_t i = 0; i < usable; i++) {
    const json_t *d = json_array_get(devices, i);
    sum += number(d, "images");
    if (number(d, "images") > 0) assert_true(number(d, "images_per_s") > 0);
    assert_true(json_is_null(json_object_get(d, "error")));
  }
  assert_true(sum == IMAGES && number(o, "images") == IMAGES);
  json_decref(o);
}

/* A list is in its own order, and a device in it twice is one. */
static void bench_measures_each(void **state) {
  (void)state;
  if (usable < 2) skip();
  run("bench -m " BUNDLED " -n 1 --json -d %s,all,%s", first, first);
  expect_code(0);
  json_t *list = parse();
  assert_int_equal(json_array_size(list), usable);
  for (size_t i = 0; i < usable; i++) {
    const char *id = text(json_array_get(list, i), "device_id");
    assert_int_equal(strcmp(id, first) == 0, i == 0);
  }
  json_decref(list);
}

static void wrong_lists_are_1(void **state) {
  (void)state;
  run("eval %s -d %s,no-such-device", images, first);
  expect_error(1, "no-such-device");
  run("classify %s -d %s,", image, first);
  expect_error(1, "empty");
  run("verify -d %s,,", first);
  expect_error(1, "empty");
  run("tune -d all");
  expect_error(1, "one device");
  run("explain -d all --html %s/page.html", folder);
  expect_error(1, "one device");
}

/* Of a device twice there is no list. */
static void one_is_no_list(void **state) {
  (void)state;
  run("classify --json -k 1 -d %s,%s %s", first, first, image);
  expect_code(0);
  json_t *o = parse();
  assert_int_equal(json_array_size(o), 1);
  json_decref(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(eval_answers_as_on_one),
      cmocka_unit_test(bench_measures_each),
      cmocka_unit_test(wrong_lists_are_1),
      cmocka_unit_test(one_is_no_list),
  };
  return cmocka_run_group_tests(tests, find_devices, tear_down);
}
