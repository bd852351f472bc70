/* The command line: help, usage errors, exit codes, JSON of the commands that take no images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/cli.h"

/* ------------------------------------------------------------- help and usage */

static void help_is_on_stdout(void **state) {
  (void)state;
  static const char *const commands[] = {"devices", "models", "info", "classify", "eval", "verify", "bench", "cache"};
  run("help");
  expect_code(0);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) assert_non_null(strstr(last.out, commands[i]));
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    run("%s --help", commands[i]);
    expect_code(0);
    assert_string_equal(last.err, "");
    assert_non_null(strstr(last.out, "Usage: clvgg "));
    assert_non_null(strstr(last.out, "Examples:\n  clvgg "));
    assert_non_null(strstr(last.out, "--json"));
    for (const char *line = last.out; *line; line = strchr(line, '\n') + 1) assert_true(strcspn(line, "\n") <= 100);
    char *same = strdup(last.out);
    run("help %s", commands[i]);
    expect_code(0);
    assert_string_equal(last.out, same);
    free(same);
  }
  run("--version");
  expect_code(0);
  assert_true(!strncmp(last.out, "clvgg ", 6) && last.out[6] >= '0' && last.out[6] <= '9');
}

static void wrong_usage_is_2_with_a_hint(void **state) {
  (void)state;
  static const struct {
    const char *line, *part;
  } cases[] = {
      {"clasify x.png", "did you mean 'classify'"},
      {"zzzzzzz", "unknown command 'zzzzzzz'"},
      {"help benhc", "did you mean 'bench'"},
      {"--jsno", "--jsno"},
      {"models --jsno", "did you mean --json"},
      {"models --frobnicate", "--frobnicate"},
      {"models -x", "-x"},
      {"models --json=3", "--json takes no value"},
      {"models extra", "extra"},
      {"devices -m", "-m"},
      {"devices a", "goes with --report"},
      {"devices -d gpu", "goes with --report"},
      {"devices --report a b", "one file"},
      {"cache --clear --fill", "two commands"},
      {"cache -b 0", "'0'"},
      {"classify", "no image"},
      {"classify -k 0 x.png", "'0'"},
      {"classify --precision f8 x.png", "'f8' is not f32|f16w|f24w|f16|auto|bf16"},
      {"classify -k -1 x.png", "'-1'"},
      {"classify -k 5x x.png", "'5x'"},
      {"classify -k 99999999999999999999999 x.png", "999"},
      {"classify x.png -k", "--top needs a value"},
      {"classify --crop 0x5 x.png", "'0x5'"},
      {"classify --crop 5x x.png", "'5x'"},
      {"classify --mean 1,2 x.png", "'1,2'"},
      {"classify --std 1,0,1 x.png", "'1,0,1'"},
      {"classify --mean nan,1,1 x.png", "'nan,1,1'"},
      {"eval", "DIR or --list"},
      {"eval a b", "2 sets"},
      {"eval a --list b", "2 sets"},
      {"eval a --limit 0", "'0'"},
      {"info a b", "2 models"},
      {"info a -m b", "2 models"},
      {"verify --arch vgg11 -m x.pth", "one of them"},
      {"bench -b 1,,2", "'1,,2'"},
      {"bench -b 0", "'0'"},
      {"bench --seconds inf", "'inf'"},
      {"bench --input 224x", "'224x'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    run("%s", cases[i].line);
    expect_error(2, cases[i].part);
  }
  run_into(NULL, "%s", "");
  expect_code(2);
  assert_string_equal(last.out, "");
}

static void unwritable_stdout_is_1(void **state) {
  (void)state;
  static const char *const lines[] = {"models", "models --json", "help", "--version", "devices --help", "info"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    run_into("/dev/full", "%s", lines[i]);
    expect_error(1, "standard output");
    run_into("|", "%s", lines[i]);
    expect_error(1, "standard output");
  }
}

/* ------------------------------------------------------------- models, devices, info */

static void models_are_the_published_table(void **state) {
  (void)state;
  /* As published with the checkpoints. */
  static const struct {
    const char *name;
    double params, flops, top1, top5;
    const char *checkpoint;
  } rows[] = {
      {"vgg11", 132.86, 7.63, 68.75, 88.87, "vgg11_batch256_imagenet_20210208-4271cd6c.pth"},
      {"vgg13", 133.05, 11.34, 70.02, 89.46, "vgg13_batch256_imagenet_20210208-4d1d6080.pth"},
      {"vgg16", 138.36, 15.5, 71.62, 90.49, "vgg16_batch256_imagenet_20210208-db26f1a5.pth"},
      {"vgg19", 143.67, 19.67, 72.41, 90.80, "vgg19_batch256_imagenet_20210208-e6920e4a.pth"},
      {"vgg11_bn", 132.87, 7.64, 70.67, 90.16, "vgg11_bn_batch256_imagenet_20210207-f244902c.pth"},
      {"vgg13_bn", 133.05, 11.36, 72.12, 90.66, "vgg13_bn_batch256_imagenet_20210207-1a8b7864.pth"},
      {"vgg16_bn", 138.37, 15.53, 73.74, 91.66, "vgg16_bn_batch256_imagenet_20210208-7e55cd29.pth"},
      {"vgg19_bn", 143.68, 19.7, 74.68, 92.27, "vgg19_bn_batch256_imagenet_20210208-da620c4f.pth"},
  };
  run("models --json");
  expect_code(0);
  json_t *list = parse();
  assert_int_equal(json_array_size(list), sizeof rows / sizeof *rows);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const json_t *row = json_array_get(list, i);
    assert_string_equal(text(row, "name"), rows[i].name);
    assert_string_equal(text(row, "checkpoint"), rows[i].checkpoint);
    assert_true(fabs(number(row, "params_m") - rows[i].params) < 1e-6);
    assert_true(fabs(number(row, "flops_g") - rows[i].flops) < 1e-6);
    assert_true(fabs(number(row, "top1") - rows[i].top1) < 1e-6);
    assert_true(fabs(number(row, "top5") - rows[i].top5) < 1e-6);
    field(row, "available", JSON_TRUE);
  }
  json_decref(list);
  run("models");
  expect_code(0);
  assert_int_equal(command_lines(last.out), 9);
  for (const char *line = last.out; *line; line = strchr(line, '\n') + 1) assert_true(strcspn(line, "\n") <= 100);
}

static void devices_have_the_promised_fields(void **state) {
  (void)state;
  run("devices --json");
  expect_code(0);
  json_t *list = parse();
  int defaults = 0;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *d = json_array_get(list, i);
    static const char *const texts[] = {"id", "platform", "name", "vendor", "driver", "type", "reason"};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) text(d, texts[k]);
    int usable = json_is_true(field(d, "usable", JSON_TRUE));
    assert_int_equal(usable, *text(d, "reason") == 0);
    assert_int_equal(json_is_true(field(d, "software_rasteriser", JSON_TRUE)),
                     strstr(text(d, "name"), "llvmpipe") != NULL);
    assert_true(!usable || number(d, "compute_units") >= 1);
    defaults += json_is_true(field(d, "default", JSON_TRUE));
  }
  assert_int_equal(defaults, 1);
  json_decref(list);
  run("devices");
  expect_code(0);
  assert_non_null(strstr(last.out, "\n*"));
}

static void info_describes_the_bundled_model(void **state) {
  (void)state;
  run("info --json");
  expect_code(0);
  json_t *info = parse();
  /* VGG-16-BN at half width for CIFAR-10: 13 convolutions, 10 classes, 3x32x32. */
  assert_true(number(info, "classes") == 10);
  const json_t *input = field(info, "input", JSON_ARRAY);
  assert_int_equal(json_integer_value(json_array_get(input, 0)), 3);
  assert_int_equal(json_integer_value(json_array_get(input, 1)), 32);
  assert_string_equal(text(info, "format"), "safetensors");
  assert_true(json_is_true(field(info, "batch_norm", JSON_TRUE)));
  const json_t *layers = field(info, "layers", JSON_ARRAY);
  size_t convolutions = 0;
  double params = 0;
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *layer = json_array_get(layers, i);
    convolutions += !strcmp(text(layer, "type"), "conv");
    params += number(layer, "params");
  }
  assert_int_equal(convolutions, 13);
  assert_true(params == number(info, "params"));
  json_decref(info);
  run("info");
  expect_code(0);
  assert_non_null(strstr(last.out, "conv1_1"));
}

static void unknown_names_are_1(void **state) {
  (void)state;
  run("classify -d no-such-device %s", image);
  expect_error(1, "no-such-device");
  run("bench -d 97:98");
  expect_error(1, "97:98");
  run("bench --arch vgg12 -n 1");
  expect_error(1, "vgg12");
  run("verify --arch vgg12");
  expect_error(1, "vgg12");
  run("classify --algorithm no_such_algorithm %s", image);
  expect_error(1, "no_such_algorithm");
}

static void verify_reports_cases(void **state) {
  (void)state;
  if (getenv("CLVGG_TEST_SMALL")) skip(); /* every algorithm on every layer */
  run("verify --json -b 1");
  expect_code(0);
  json_t *o = parse();
  const json_t *cases = field(o, "cases", JSON_ARRAY);
  size_t ran = 0, naive = 0, network = 0;
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *c = json_array_get(cases, i);
    text(c, "algorithm");
    if (!json_is_true(field(c, "ran", JSON_TRUE))) continue;
    ran++;
    number(c, "max_abs");
    number(c, "rel_l2");
    assert_true(json_is_true(field(c, "ok", JSON_TRUE)));
    naive += strstr(text(c, "algorithm"), "naive") != NULL;
    network += !strcmp(text(c, "layer"), "network");
  }
  assert_true(number(o, "checked") == (double)ran && number(o, "failed") == 0);
  /* The oracle of each of 13 convolutions and at least one fully connected layer; the network at least once. */
  assert_true(naive >= 14 && network >= 1);
  json_decref(o);
}

/* Start-up times add up, and so do the parts of the memory. */
static void expect_start_and_memory(const json_t *r) {
  const json_t *start = field(r, "startup_ms", JSON_OBJECT);
  const double load = number(start, "load"), open = number(start, "open"), answer = number(start, "first_answer");
  assert_true(load > 0 && open > 0 && answer > 0);
  assert_true(fabs(number(start, "total") - (load + open + answer)) < 1e-6 * number(start, "total"));
  assert_true(fabs(number(r, "first_run_ms") - (open + answer)) < 1e-6 * (open + answer));
  const double weights = number(r, "weight_bytes"), activations = number(r, "activation_bytes"),
               scratch = number(r, "workspace_bytes"), total = number(r, "device_bytes"),
               plain = number(r, "plain_weight_bytes");
  assert_true(weights + activations + scratch == total && number(r, "peak_bytes") >= total);
  assert_true(number(r, "above_plain_bytes") == total - plain);
  /* An image goes in and logits come out. */
  assert_true(activations >= number(r, "batch") * 4 * (3 * 32 * 32 + 10));
  /* VGG-16 at half width for 32x32, 512 and 512 neurons and ten classes, batch norm folded: weights and biases. */
  static const int widths[] = {3, 32, 32, 64, 64, 128, 128, 128, 256, 256, 256, 256, 256, 256};
  double expected = 0;
  for (int i = 1; i < 14; i++) expected += 4.0 * (9 * widths[i - 1] + 1) * widths[i];
  expected += 4.0 * ((256 + 1) * 512 + (512 + 1) * 512 + (512 + 1) * 10);
  assert_true(plain == expected);
}

static void bench_measures_each_batch(void **state) {
  (void)state;
  run("bench --json -m %s/vgg16_bn_half_cifar10.safetensors -b 1,3 -n 5", HOST_DATA_DIR);
  expect_code(0);
  json_t *list = parse();
  assert_int_equal(json_array_size(list), 2);
  for (size_t i = 0; i < 2; i++) {
    const json_t *r = json_array_get(list, i), *ms = field(r, "ms", JSON_OBJECT);
    text(r, "model");
    text(r, "device");
    assert_string_equal(text(r, "precision"), "f32");
    assert_true(number(r, "batch") == (i ? 3 : 1));
    assert_true(number(r, "runs") == 5);
    assert_true(number(ms, "min") > 0 && number(ms, "min") <= number(ms, "median"));
    assert_true(number(ms, "median") <= number(ms, "p90") && number(ms, "p90") <= number(ms, "p99"));
    assert_true(fabs(number(r, "images_per_s") * number(ms, "median") / 1000 / number(r, "batch") - 1) < 1e-6);
    assert_true(number(r, "first_run_ms") > 0);
    /* 13 convolutions' weights of half width are 3.7 million f32. */
    assert_true(number(r, "device_bytes") > 14e6);
    assert_true(json_array_size(field(r, "layers", JSON_ARRAY)) >= 14);
    expect_start_and_memory(r);
  }
  json_decref(list);
  run("bench -m %s/vgg16_bn_half_cifar10.safetensors -n 5 --rgb8 --layers", HOST_DATA_DIR);
  expect_code(0);
  assert_non_null(strstr(last.out, "conv1_1"));
  static const char *const parts[] = {"Load ms",     "Open",    "Answer", "Weights MiB",
                                      "Activations", "Scratch", "Total",  "Peak",
                                      "Over f32",    "Source",  "Median", "Start, and memory on the device:"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr(last.out, parts[i])) fail_msg("no '%s' in %s", parts[i], last.out);
  assert_non_null(strstr(last.out, "_u8_nhwc_")); /* conv1_1 itself, or a conversion before it */
}

/* A file that cannot be opened has no start to report. */
static void bench_of_no_file_is_1(void **state) {
  (void)state;
  run("bench -m /no/such.safetensors");
  expect_code(1);
  assert_non_null(strstr(last.err, "/no/such.safetensors"));
}

/* Which weights were used, not which were asked for. */
static void bench_names_the_precision(void **state) {
  (void)state;
  static const char *const precisions[] = {"f32", "f16w", "f24w"};
  for (size_t i = 0; i < 3; i++) {
    run("bench --json -m %s/vgg16_bn_half_cifar10.safetensors -n 1 --precision %s", HOST_DATA_DIR, precisions[i]);
    expect_code(0);
    json_t *list = parse();
    assert_string_equal(text(json_array_get(list, 0), "precision"), precisions[i]);
    json_decref(list);
  }
}

/* In a folder of its own, so that what other tests have cached stays. */
static void cache_is_shown_filled_and_cleared(void **state) {
  (void)state;
  char home[4096], *old = getenv("XDG_CACHE_HOME") ? strdup(getenv("XDG_CACHE_HOME")) : NULL;
  make_path(home, "cache-home");
  setenv("XDG_CACHE_HOME", home, 1);
  run("cache");
  expect_code(0);
  assert_int_equal(command_lines(last.out), 1);
  assert_non_null(strstr(last.out, "/cache-home/clvgg/programs: 0 programs, 0.00 of 256 MiB"));

  run("cache --fill --json");
  expect_code(0);
  json_t *o = parse();
  const size_t written = (size_t)number(o, "written");
  json_decref(o);
  run("cache --json");
  expect_code(0);
  o = parse();
  const json_t *list = field(o, "programs", JSON_ARRAY), *verdicts = field(o, "verdicts", JSON_OBJECT);
  assert_int_equal(json_array_size(list), written); /* 0 where a driver's binaries are not used */
  double sum = 0;
  for (size_t i = 0; i < written; i++) {
    const json_t *e = json_array_get(list, i);
    assert_non_null(strstr(text(e, "source"), ".cl"));
    assert_true(*text(e, "device") && number(e, "last_use") > 1e9);
    sum += number(e, "bytes");
  }
  assert_true(sum == number(o, "bytes"));
  const double all = sum + number(verdicts, "bytes");
  assert_true(number(verdicts, "bytes") > 0 && number(o, "limit_bytes") == 256.0 * 1024 * 1024);
  json_decref(o);
  run("cache");
  expect_code(0);
  assert_int_equal(command_lines(last.out), written ? 4 : 3);
  assert_non_null(strstr(last.out, "verdicts on algorithms"));

  run("cache --clear --json");
  expect_code(0);
  o = parse();
  assert_int_equal((size_t)number(o, "removed_files"), written + 1);
  assert_true(number(o, "removed_bytes") == all);
  json_decref(o);
  run("cache --clear");
  expect_code(0);
  assert_string_equal(last.out, "0 files removed, 0.00 MiB\n");

  write_file("no-folder", "x", 1);
  make_path(home, "no-folder");
  setenv("XDG_CACHE_HOME", home, 1);
  run("cache");
  const int code = last.code;
  if (old)
    setenv("XDG_CACHE_HOME", old, 1);
  else
    unsetenv("XDG_CACHE_HOME");
  free(old);
  assert_int_equal(code, 1);
  expect_error(1, "cannot read this folder");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(help_is_on_stdout),
      cmocka_unit_test(wrong_usage_is_2_with_a_hint),
      cmocka_unit_test(unwritable_stdout_is_1),
      cmocka_unit_test(models_are_the_published_table),
      cmocka_unit_test(devices_have_the_promised_fields),
      cmocka_unit_test(info_describes_the_bundled_model),
      cmocka_unit_test(unknown_names_are_1),
      cmocka_unit_test(verify_reports_cases),
      cmocka_unit_test(bench_measures_each_batch),
      cmocka_unit_test(bench_names_the_precision),
      cmocka_unit_test(bench_of_no_file_is_1),
      cmocka_unit_test(cache_is_shown_filled_and_cleared),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
