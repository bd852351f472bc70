/* clvgg explain: its JSON follows from its own figures and the network's operations, its table says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "e2e/cli.h"

static int close_to(double a, double b) {
  return fabs(a - b) <= 1e-6 * fabs(b);
}

static size_t count_of(const char *text, const char *part) {
  size_t count = 0;
  for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) count++;
  return count;
}

static void json_agrees_with_itself(void **state) {
  (void)state;
  const double batch = 2;
  run("explain --json -b 2 -n 2 -m %s/vgg16_bn_half_cifar10.safetensors", HOST_DATA_DIR);
  expect_code(0);
  json_t *o = parse();
  text(o, "device");
  text(o, "model");
  assert_true(number(o, "batch") == batch && number(o, "height") == 32 && number(o, "width") == 32);
  const double peak = number(o, "peak_gflops"), bandwidth = number(o, "peak_gbytes_per_s");
  assert_true(peak > 0 && bandwidth > 0);
  const json_t *layers = field(o, "layers", JSON_ARRAY);
  double ms = 0, conv_ms = 0, fc_ms = 0, gflop = 0, conv_bytes = 0;
  size_t convolutions = 0;
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *l = json_array_get(layers, i);
    const char *algorithm = text(l, "algorithm");
    text(l, "name");
    text(l, "parameters");
    assert_true(*text(l, "source"));
    const double step_ms = number(l, "ms");
    assert_true(step_ms > 0);
    ms += step_ms;
    const double arithmetic = number(l, "actual_gflops") * step_ms / peak,
                 memory = number(l, "bytes") / (bandwidth * 1e6);
    assert_true(close_to(number(l, "roofline_ms"), fmax(arithmetic, memory)));
    assert_true(close_to(number(l, "roofline_percent"), 100 * number(l, "roofline_ms") / step_ms));
    if (!strncmp(algorithm, "fc_", 3)) fc_ms += step_ms;
    if (strncmp(algorithm, "conv_", 5)) continue;
    convolutions++;
    conv_ms += step_ms;
    conv_bytes += number(l, "bytes");
    gflop += number(l, "gflops") * step_ms / 1e3;
  }
  assert_true(close_to(number(o, "total_ms"), ms));
  assert_true(close_to(number(o, "conv_ms"), conv_ms) && close_to(number(o, "fc_ms"), fc_ms));
  /* 13 convolutions of half VGG-16's width on 32 x 32: 78.7 million multiply-adds, and 3.68 million weights of four bytes,
   * which no algorithm for f32 stores in less. */
  assert_int_equal(convolutions, 13);
  double multiply_adds = 0, weights = 0;
  static const int widths[] = {32, 32, 64, 64, 128, 128, 128, 256, 256, 256, 256, 256, 256};
  static const int sides[] = {32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2};
  for (int i = 0; i < 13; i++) {
    weights += 9.0 * (i ? widths[i - 1] : 3) * widths[i];
    multiply_adds += 9.0 * (i ? widths[i - 1] : 3) * widths[i] * sides[i] * sides[i];
  }
  assert_true(close_to(gflop, batch * 2 * multiply_adds / 1e9));
  assert_true(conv_bytes > 4 * weights && conv_bytes < 100 * 4 * weights);
  json_decref(o);
}

/* A direct convolution computes what the layer says, from f32 weights as they are. */
static void direct_convolutions_have_no_other_work(void **state) {
  (void)state;
  run("explain --json -n 1 --algorithm conv_f32_nchw_naive -m %s/vgg16_bn_half_cifar10.safetensors", HOST_DATA_DIR);
  expect_code(0);
  json_t *o = parse();
  const json_t *first = json_array_get(field(o, "layers", JSON_ARRAY), 0);
  assert_string_equal(text(first, "name"), "conv1_1");
  assert_string_equal(text(first, "algorithm"), "conv_f32_nchw_naive");
  assert_string_equal(text(first, "source"), "asked for");
  assert_true(close_to(number(first, "actual_gflops"), number(first, "gflops")));
  assert_true(number(first, "bytes") == 4 * (32 * 3 * 9 + 3 * 32 * 32 + 32 * 32 * 32));
  json_decref(o);
}

/* Pixels are bytes on their way in. */
static void pixels_are_a_quarter(void **state) {
  (void)state;
  run("explain --json -n 1 --rgb8 --algorithm conv_f32_nchw_naive -m %s/vgg16_bn_half_cifar10.safetensors",
      HOST_DATA_DIR);
  expect_code(0);
  json_t *o = parse();
  const json_t *layers = field(o, "layers", JSON_ARRAY), *first = json_array_get(layers, 0);
  assert_string_equal(text(first, "name"), "to NCHW");
  assert_string_equal(text(first, "algorithm"), "convert_u8_nhwc_nchw");
  assert_true(number(first, "bytes") == 3 * 32 * 32 * (1 + 4));
  assert_string_equal(text(json_array_get(layers, 1), "algorithm"), "conv_f32_nchw_naive");
  json_decref(o);
}

/* F(m, 3) on a 32-channel layer; the multiplication counted by hand: (m + 2)^2 places, tiles filled up to blocks. */
static void winograd_does_less(void **state) {
  (void)state;
  size_t found = 0;
  run("devices --json");
  json_t *devices = parse();
  int cpu = 0; /* it is made for them alone */
  for (size_t i = 0; i < json_array_size(devices); i++) {
    const json_t *d = json_array_get(devices, i);
    if (json_is_true(field(d, "default", JSON_TRUE))) cpu = !strcmp(text(d, "type"), "cpu");
  }
  json_decref(devices);
  run("explain --json -n 1 --algorithm conv_f32_nchwc_winograd -m %s/vgg16_bn_half_cifar10.safetensors", HOST_DATA_DIR);
  expect_code(0);
  json_t *o = parse();
  const json_t *layers = field(o, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *l = json_array_get(layers, i);
    int m = 0, block = 0, oc_blocks = 0;
    if (strcmp(text(l, "algorithm"), "conv_f32_nchwc_winograd") || strncmp(text(l, "name"), "conv1_2", 7)) continue;
    found++;
    if (sscanf(text(l, "parameters"), "M=%d TILES=%d OC_BLOCKS=%d", &m, &block, &oc_blocks) != 3) fail();
    const double ms = number(l, "ms"), flops = number(l, "actual_gflops") * ms * 1e6;
    const int side = (32 + m - 1) / m, tiles = (side * side + block - 1) / block * block;
    const double multiplication = 2.0 * (m + 2) * (m + 2) * tiles * 32 * 32;
    /* A transform of a row is a matrix of at most (m + 2)^2 elements, half of them zero or one. */
    const double transforms = 2.0 * 2 * (m + 2) * (m + 2) * (m + 2) * side * side * (32 + 32);
    assert_true(flops > multiplication && flops < multiplication + transforms);
    assert_true(number(l, "bytes") >= 4.0 * (m + 2) * (m + 2) * 32 * 32 + 4.0 * 32 * 32 * (32 + 8));
  }
  assert_int_equal(found, cpu);
  json_decref(o);
}

static void table_has_every_step(void **state) {
  (void)state;
  run("explain -n 1 --input 64 --arch vgg11 -b 1");
  expect_code(0);
  assert_string_equal(last.err, "");
  static const char *const parts[] = {
      "vgg11", "batch 1, 64x64", "Layer", "Algorithm",    "Parameters", "GFLOP/s",         "Actual",
      "Roof",  "Source",         "total", "Convolutions", "GB/s",       "fully connected", "Device at most: "};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr(last.out, parts[i])) fail_msg("no '%s' in %s", parts[i], last.out);
  assert_int_equal(count_of(last.out, "\nconv"), 8);
  assert_int_equal(count_of(last.out, "\nfc"), 3);
}

static void wrong_usage_is_2(void **state) {
  (void)state;
  static const struct {
    const char *line, *part;
  } cases[] = {
      {"explain -b 0", "'0'"},        {"explain -n 0", "'0'"},
      {"explain --input 3y", "'3y'"}, {"explain --arch vgg11 -m x.pth", "one of them"},
      {"explain x", "'x'"},           {"explian", "did you mean 'explain'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    run("%s", cases[i].line);
    expect_error(2, cases[i].part);
  }
  run("explain --help");
  expect_code(0);
  assert_non_null(strstr(last.out, "Examples:\n  clvgg explain"));
  for (const char *line = last.out; *line; line = strchr(line, '\n') + 1) assert_true(strcspn(line, "\n") <= 100);
}

static void what_is_not_there_is_1(void **state) {
  (void)state;
  run("explain --arch vgg12");
  expect_error(1, "vgg12");
  run("explain -m /no/such.safetensors");
  expect_error(1, "/no/such.safetensors");
  run("explain -d 77:0");
  expect_error(1, "77:0");
  run("explain --algorithm conv_f32_magic");
  expect_error(1, "conv_f32_magic");
  run("explain --arch vgg11 --input 16");
  expect_code(1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(json_agrees_with_itself), cmocka_unit_test(direct_convolutions_have_no_other_work),
      cmocka_unit_test(pixels_are_a_quarter),    cmocka_unit_test(winograd_does_less),
      cmocka_unit_test(table_has_every_step),    cmocka_unit_test(wrong_usage_is_2),
      cmocka_unit_test(what_is_not_there_is_1),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
