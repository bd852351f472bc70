/* clvgg explain with what tuning found: runners-up and history as JSON and as a table, and the page of --html. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "e2e/cli.h"
#include "e2e/page.h"

#define STEP   "conv5_1"
#define REASON "no <answer> & \"none\" for 20 s\\1"

/* As a page has it. */
#define REASON_ESCAPED "no &lt;answer&gt; &amp; &quot;none&quot; for 20 s\\1"
#define NAME_ESCAPED   "x&lt;&amp;&quot;y&gt;&#39;_tuned_mode"

static char model[4096]; /* the bundled one under another name: x<&"y>'_tuned_mode */

/* ---- the page */

static void check_page(const char *path, const json_t *report) {
  const char *page = page_read(path);
  page_check(path);
  page_expect(page, NAME_ESCAPED);
  page_expect(page, "m&amp;m.safetensors"); /* the file's name */
  page_expect_none(page, "x<&");
  const json_t *layers = field(report, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *l = json_array_get(layers, i);
    char part[200];
    snprintf(part, sizeof part, "<th scope=\"row\">%s</th><td>%s</td>", text(l, "name"), text(l, "algorithm"));
    page_expect(page, part);
    snprintf(part, sizeof part, "<g><title>%s: ", text(l, "name")); /* in the picture */
    if (number(l, "gflops") > 0) page_expect(page, part);
  }
  /* Nothing from elsewhere, nothing that runs. */
  static const char *const never[] = {
      "<script", "<link", "<img", "src=", "href=", "url(", "@import", "https:", "nan", "inf\""};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++) page_expect_none(page, never[i]);
}

/* ---- rows of tuning */

static const json_t *find_step(const json_t *report, const char *name) {
  const json_t *layers = field(report, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++)
    if (!strcmp(text(json_array_get(layers, i), "name"), name)) return json_array_get(layers, i);
  fail_msg("no step %s", name);
  return NULL;
}

/* NULL when there is none. */
static json_t *find_row(const json_t *rows, const char *problem, const char *algorithm, const char *parameters) {
  for (size_t i = 0; i < json_array_size(rows); i++) {
    json_t *row = json_array_get(rows, i);
    if ((!problem || !strcmp(text(row, "problem"), problem)) && !strcmp(text(row, "algorithm"), algorithm) &&
        !strcmp(text(row, "parameters"), parameters))
      return row;
  }
  return NULL;
}

/* The one of a step, in the network; begin is its problem but for the block. */
static json_t *find_row_of(const json_t *rows, const char *begin, const json_t *step) {
  for (size_t i = 0; i < json_array_size(rows); i++) {
    json_t *row = json_array_get(rows, i);
    const char *problem = text(row, "problem");
    if (!strncmp(problem, begin, strlen(begin)) && !strstr(problem, "alone") &&
        !strcmp(text(row, "algorithm"), text(step, "algorithm")) &&
        !strcmp(text(row, "parameters"), text(step, "parameters")))
      return row;
  }
  return NULL;
}

static json_t *add_row(json_t *rows, const json_t *like, const char *problem, const char *algorithm,
                       const char *parameters, double seconds) {
  json_t *row = json_deep_copy(like);
  json_object_set_new(row, "problem", json_string(problem));
  json_object_set_new(row, "algorithm", json_string(algorithm));
  json_object_set_new(row, "parameters", json_string(parameters));
  json_object_set_new(row, "seconds", json_real(seconds));
  json_array_append_new(rows, row);
  return row;
}

/* The step's alternatives have the order that they should. */
static void check_order(const json_t *list) {
  int stage = 0;
  double ms = 0;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *a = json_array_get(list, i);
    const int failed = *text(a, "fault") != 0, now = failed ? 2 : !strcmp(text(a, "timed"), "alone");
    assert_true(now >= stage);
    if (now > stage) ms = 0;
    stage = now;
    if (failed) continue;
    assert_true(number(a, "ms") >= ms);
    ms = number(a, "ms");
  }
}

static void expect_alternative(const json_t *list, const char *algorithm, const char *parameters, const char *timed,
                               double ms, double slower) {
  const json_t *a = find_row(list, NULL, algorithm, parameters);
  if (!a) fail_msg("%s %s is no alternative", algorithm, parameters);
  assert_string_equal(text(a, "source"), "imported");
  assert_string_equal(text(a, "timed"), timed);
  assert_string_equal(text(a, "fault"), "");
  assert_true(fabs(number(a, "ms") / ms - 1) < 1e-6);
  assert_true(fabs(number(a, "slower") / slower - 1) < 1e-6);
}

/* ---- tests, in their order */

static void nothing_is_known_before(void **state) {
  (void)state;
  char path[4096];
  make_path(path, "before.html");
  run("explain --json -n 1 -m %s --html %s", model, path);
  expect_code(0);
  assert_string_equal(last.err, "");
  json_t *report = parse();
  assert_string_equal(text(report, "model"), "x<&\"y>'_tuned_mode");
  assert_int_equal(json_array_size(field(report, "history", JSON_ARRAY)), 0);
  const json_t *layers = field(report, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++)
    assert_int_equal(json_array_size(field(json_array_get(layers, i), "alternatives", JSON_ARRAY)), 0);
  check_page(path, report);
  page_expect(page_read(path), "was not tuned yet");
  json_decref(report);
}

static void tuning_is_shown(void **state) {
  (void)state;
  char path[4096];
  make_path(path, "tuned.html");
  run("tune -m %s --layer " STEP " --budget 3", model);
  expect_code(0);
  run("explain --json -n 1 -m %s --html %s", model, path);
  expect_code(0);
  json_t *report = parse();
  const json_t *history = field(report, "history", JSON_ARRAY);
  double seconds = 0, best = INFINITY;
  size_t plans = 0;
  for (size_t i = 0; i < json_array_size(history); i++) {
    const json_t *e = json_array_get(history, i);
    assert_true(number(e, "seconds") >= seconds);
    seconds = number(e, "seconds");
    if (*text(e, "algorithm")) {
      assert_true(*text(e, "layer") && json_is_null(json_object_get(e, "best_ms")));
      assert_true(*text(e, "fault") || number(e, "ms") > 0);
      continue;
    }
    plans++;
    best = fmin(best, number(e, "ms"));
    assert_true(number(e, "best_ms") == best);
  }
  assert_true(plans >= 1);
  check_page(path, report);
  const char *page = page_read(path);
  page_expect_none(page, "was not tuned yet");
  page_expect(page, "class=\"best\"");
  page_expect(page, "<title>a plan after ");
  json_decref(report);
}

/* Rows of known times and faults beside what was measured. */
static void runners_up_are_what_was_measured(void **state) {
  (void)state;
  char path[4096], page_path[4096], alone[300];
  json_error_t error;
  make_path(path, "rows.json");
  make_path(page_path, "rows.html");
  run("explain --json -n 1 -m %s", model);
  json_t *before = parse();
  const json_t *step = find_step(before, STEP);
  const char *algorithm = text(step, "algorithm"), *parameters = text(step, "parameters");
  run("tune --export %s", path);
  expect_code(0);
  json_t *file = json_load_file(path, 0, &error);
  assert_non_null(file);
  json_t *devices = field(file, "devices", JSON_ARRAY), *device = json_array_get(devices, 0);
  json_t *rows = field(device, "measurements", JSON_ARRAY);
  assert_int_equal(json_array_size(devices), 1);
  json_t *own = find_row_of(rows, "conv 256x2x2 256x2x2 relu b1 k", step);
  assert_non_null(own);
  const char *problem = text(own, "problem");
  const double seconds = number(own, "seconds");
  snprintf(alone, sizeof alone, "%s alone", problem);
  const json_t *own_alone = find_row(rows, alone, algorithm, parameters);
  const double alone_seconds = own_alone ? number(own_alone, "seconds") : 0.25;
  if (!own_alone) add_row(rows, own, alone, algorithm, parameters, alone_seconds);
  add_row(rows, own, problem, "conv_f32_nchw_naive", "MADE=1", 1.5 * seconds);
  add_row(rows, own, problem, "conv_f32_nchw_naive", "MADE=2", 0.5 * seconds);
  add_row(rows, own, alone, "conv_f32_nchw_naive", "MADE=2", 7 * alone_seconds);
  add_row(rows, own, alone, "conv_f32_nchw_naive", "MADE=3", 3 * alone_seconds);
  json_t *failed = add_row(rows, own, problem, "conv_f32_nchw_naive", "MADE=4", 0);
  json_object_set_new(failed, "state", json_string("hang"));
  json_object_set_new(failed, "reason", json_string(REASON));
  add_row(rows, own, alone, "conv_f32_nchw_naive", "MADE=4", alone_seconds);
  /* Of no use to this engine: pixels, no algorithm at all, another problem, another precision. */
  const json_t *fc = find_step(before, "fc7");
  const json_t *own_fc = find_row_of(rows, "fc 512x1x1 512x1x1 relu b1 k", fc);
  assert_non_null(own_fc);
  add_row(rows, own_fc, text(own_fc, "problem"), "fc_f16w_gemv", "FORM=1", seconds);
  add_row(rows, own_fc, text(own_fc, "problem"), "fc_f32_naive", "FORM=2", seconds);
  add_row(rows, own, problem, "conv_u8_nhwc_nchwc_direct", "MADE=5", seconds);
  add_row(rows, own, problem, "conv_f32_magic", "MADE=6", seconds);
  add_row(rows, own, "conv 256x2x2 256x2x2 b1 k16", "conv_f32_nchw_naive", "MADE=7", seconds);
  /* Found with another driver. */
  json_t *other = json_deep_copy(device);
  json_object_set_new(other, "driver", json_string("another driver"));
  json_object_set_new(other, "measurements", json_array());
  json_object_set_new(other, "plans", json_array());
  add_row(json_object_get(other, "measurements"), own, problem, "conv_f32_nchw_naive", "MADE=8", seconds);
  json_array_append_new(devices, other);
  assert_int_equal(json_dump_file(file, path, JSON_REAL_PRECISION(17)), 0);
  run("tune --import %s", path);
  expect_code(0);

  run("explain --json -n 1 -m %s --html %s", model, page_path);
  expect_code(0);
  json_t *report = parse();
  const json_t *list = field(find_step(report, STEP), "alternatives", JSON_ARRAY);
  check_order(list);
  expect_alternative(list, "conv_f32_nchw_naive", "MADE=1", "network", 1.5e3 * seconds, 1.5);
  expect_alternative(list, "conv_f32_nchw_naive", "MADE=2", "network", 0.5e3 * seconds, 0.5);
  expect_alternative(list, "conv_f32_nchw_naive", "MADE=3", "alone", 3e3 * alone_seconds, 3);
  const json_t *fault = find_row(list, NULL, "conv_f32_nchw_naive", "MADE=4");
  assert_non_null(fault);
  assert_string_equal(text(fault, "fault"), "hang");
  assert_string_equal(text(fault, "reason"), REASON);
  assert_true(json_is_null(json_object_get(fault, "ms")) && json_is_null(json_object_get(fault, "slower")));
  assert_null(find_row(list, NULL, "conv_u8_nhwc_nchwc_direct", "MADE=5"));
  assert_null(find_row(list, NULL, "conv_f32_magic", "MADE=6"));
  assert_null(find_row(list, NULL, "conv_f32_nchw_naive", "MADE=7"));
  assert_null(find_row(list, NULL, "conv_f32_nchw_naive", "MADE=8"));
  assert_null(find_row(list, NULL, algorithm, parameters)); /* the step's own */
  const json_t *of_fc = field(find_step(report, "fc7"), "alternatives", JSON_ARRAY);
  assert_non_null(find_row(of_fc, NULL, "fc_f32_naive", "FORM=2"));
  assert_null(find_row(of_fc, NULL, "fc_f16w_gemv", "FORM=1"));
  check_page(page_path, report);
  page_expect(page_read(page_path), REASON_ESCAPED);
  page_expect(page_read(page_path), "<td>MADE=2</td>");
  json_decref(report);
  json_decref(file);
  json_decref(before);
}

static void the_table_shows_some(void **state) {
  (void)state;
  run("explain -n 1 -m %s", model);
  expect_code(0);
  const char *table = strstr(last.out, "\nLayer          Runner-up");
  if (!table) table = strstr(last.out, "Runner-up");
  if (!table || !strstr(table, "MADE=2") || !strstr(table, "-50 %") || !strstr(table, "ways failed here"))
    fail_msg("%s", last.out);
  run("explain -n 1 --runners-up 1 -m %s", model);
  expect_code(0);
  assert_non_null(strstr(last.out, "MADE=2"));
  assert_null(strstr(last.out, "MADE=1"));
  run("explain -n 1 --runners-up 0 -m %s", model);
  expect_code(0);
  assert_null(strstr(last.out, "Runner-up"));
  assert_null(strstr(last.out, "MADE"));
  assert_null(strstr(last.out, "ways failed"));
}

/* Kernels of our own, of which one does not compile: what failed is part of the history. */
static void failures_are_in_the_history(void **state) {
  (void)state;
  static unsigned char source[1 << 20];
  char path[4096], name[300];
  make_path(path, "kernels");
  assert_int_equal(mkdir(path, 0700), 0);
  DIR *dir = opendir(KERNEL_DIR);
  assert_non_null(dir);
  for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
    if (!strstr(e->d_name, ".cl")) continue;
    snprintf(path, sizeof path, KERNEL_DIR "/%.200s", e->d_name);
    snprintf(name, sizeof name, "kernels/%.200s", e->d_name);
    const size_t bytes = read_file(path, source, sizeof source);
    if (!strcmp(e->d_name, "conv_winograd.cl"))
      write_file(name, "#error planted\n", 15);
    else
      write_file(name, source, bytes);
  }
  closedir(dir);
  make_path(path, "kernels");
  setenv("CLVGG_KERNEL_DIR", path, 1);
  run("tune -m %s --layer " STEP " --budget 0", model);
  const int code = last.code;
  make_path(path, "failed.html");
  run("explain --json -n 1 -m %s --html %s", model, path);
  unsetenv("CLVGG_KERNEL_DIR");
  assert_int_equal(code, 0);
  expect_code(0);
  json_t *report = parse();
  const json_t *history = field(report, "history", JSON_ARRAY);
  size_t failed = 0;
  for (size_t i = 0; i < json_array_size(history); i++)
    failed += !strcmp(text(json_array_get(history, i), "fault"), "build");
  assert_true(failed > 0);
  page_expect(page_read(path), "class=\"fail\"");
  check_page(path, report);
  json_decref(report);
}

static void a_file_is_whole_or_not_there(void **state) {
  (void)state;
  char path[4096];
  struct stat info;
  run("explain --html /no/such/folder/x.html");
  expect_error(1, "/no/such/folder/x.html");
  run("explain --html %s", folder);
  expect_error(1, "cannot write");
  make_path(path, "kept.html");
  write_file("kept.html", "kept", 4);
  run("explain -m /no/such.safetensors --html %s", path);
  expect_error(1, "/no/such.safetensors");
  assert_string_equal(page_read(path), "kept");
  make_path(path, "new.html");
  run("explain -m /no/such.safetensors --html %s", path);
  expect_code(1);
  assert_int_not_equal(stat(path, &info), 0);
  run("explain --runners-up x");
  expect_error(2, "--runners-up");
  run("explain --html");
  expect_error(2, "--html");
}

/* ---- the model */

static int rename_model(void **state) {
  static const char from[] = "vgg16_bn_half_cifar10";
  static const char to[] = "x<&\\\\\\\"y>'_tuned_mode"; /* JSON in a text of JSON */
  static unsigned char data[32 << 20];
  if (set_up(state)) return -1;
  assert_int_equal(sizeof from, sizeof to);
  const size_t bytes = read_file(HOST_DATA_DIR "/vgg16_bn_half_cifar10.safetensors", data, sizeof data);
  size_t at = 0;
  while (at + sizeof from < bytes && memcmp(data + at, from, sizeof from - 1) != 0) at++;
  memcpy(data + at, to, sizeof to - 1);
  write_file("m&m.safetensors", data, bytes);
  make_path(model, "m&m.safetensors");
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_known_before),          cmocka_unit_test(tuning_is_shown),
      cmocka_unit_test(runners_up_are_what_was_measured), cmocka_unit_test(the_table_shows_some),
      cmocka_unit_test(failures_are_in_the_history),      cmocka_unit_test(a_file_is_whole_or_not_there),
  };
  run_seconds = 900; /* compilers are slow in a sanitized build, and beside others */
  return cmocka_run_group_tests(tests, rename_model, tear_down);
}
