/* --measure: plans from measured times. What is said must hang together; how long anything takes is not looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/cli.h"

#define MODEL HOST_DATA_DIR "/vgg16_bn_half_cifar10.safetensors"

/* Every layer of the network once, in its order, in steps that say what they do. */
static void check_steps(const json_t *layers) {
  size_t convolutions = 0, fc = 0;
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *l = json_array_get(layers, i);
    const char *name = text(l, "name"), *algorithm = text(l, "algorithm");
    convolutions += !strncmp(name, "conv", 4) && !strncmp(algorithm, "conv_", 5);
    fc += !strncmp(name, "fc", 2) && !strncmp(algorithm, "fc_", 3);
  }
  assert_int_equal(convolutions, 13);
  assert_int_equal(fc, 3);
}

static void explain_plans_with_measured_times(void **state) {
  (void)state;
  run("explain --json -n 1 --measure -m " MODEL);
  expect_code(0);
  assert_string_equal(last.err, "");
  json_t *o = parse();
  const json_t *layers = field(o, "layers", JSON_ARRAY);
  check_steps(layers);
  /* Convolutions dominate and have many ways, so that none of the last plan's is a guess. */
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *l = json_array_get(layers, i);
    if (!strncmp(text(l, "algorithm"), "conv_", 5)) assert_string_equal(text(l, "source"), "measured");
  }
  /* At least the first plan's and another way for each of the eight sizes of convolution. */
  assert_true(number(o, "measured") >= 16);
  assert_true(number(o, "measure_ms") > 0);
  json_decref(o);
}

static void the_table_says_it(void **state) {
  (void)state;
  run("explain -n 1 --measure --algorithm conv_f32_nchw_direct -m " MODEL);
  expect_code(0);
  assert_string_equal(last.err, "");
  if (!strstr(last.out, "Measuring took ") || !strstr(last.out, " measured\n") || !strstr(last.out, "asked for\n"))
    fail_msg("%s", last.out);
  /* Who asked for an algorithm gets it, however slow it was. */
  const char *first = strstr(last.out, "conv1_1");
  assert_true(first && strstr(first, "conv_f32_nchw_direct") < strchr(first, '\n'));
}

static void bench_measures_too(void **state) {
  (void)state;
  run("bench --json -n 5 --measure -m " MODEL);
  expect_code(0);
  json_t *list = parse();
  const json_t *r = json_array_get(list, 0), *layers = field(r, "layers", JSON_ARRAY);
  size_t measured = 0;
  check_steps(layers);
  for (size_t i = 0; i < json_array_size(layers); i++)
    measured += !strcmp(text(json_array_get(layers, i), "source"), "measured");
  assert_true(measured >= 13 && number(r, "measured") >= 16 && number(r, "measure_ms") > 0);
  json_decref(list);
}

static void without_it_nothing_is_measured(void **state) {
  (void)state;
  run("explain --json -n 1 -m " MODEL);
  expect_code(0);
  json_t *o = parse();
  const json_t *layers = field(o, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++)
    assert_string_not_equal(text(json_array_get(layers, i), "source"), "measured");
  assert_true(number(o, "measured") == 0 && number(o, "measure_ms") == 0);
  json_decref(o);
}

static void wrong_usage_is_2(void **state) {
  (void)state;
  run("explain --measure=3");
  expect_error(2, "--measure takes no value");
  run("classify --measure x.png");
  expect_error(2, "--measure");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(explain_plans_with_measured_times),
      cmocka_unit_test(the_table_says_it),
      cmocka_unit_test(bench_measures_too),
      cmocka_unit_test(without_it_nothing_is_measured),
      cmocka_unit_test(wrong_usage_is_2),
  };
  run_seconds = 1500; /* some hundred kernels are compiled, by a sanitized program slowly */
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
