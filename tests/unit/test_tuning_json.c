/* The tuning database as JSON: exports that come back, bad files, presets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "made_up_device.h"
#include "tuning_fixture.h"

static void exports_come_back(void **state) {
  (void)state;
  tuning *t = open_memory(), *u = open_memory();
  const tuning_key key = made_up_key("1.0"), other = made_up_key("2.0");
  for (int i = 0; i < 50; i++) {
    char problem[32];
    snprintf(problem, sizeof problem, "problem \"%d\" \xc3\xa9", i);
    const tuning_measurement m = i % 7 ? ok_row(problem, 1e-3 / (i + 3), 4) : failed_row(problem, TUNING_NAN, "nan", 4);
    assert_int_equal(tuning_record(t, i % 3 ? &key : &other, &m), CLVGG_OK);
  }
  const tuning_plan p = {.network = "n", .steps = "s", .ms = 1.0 / 3, .untuned_ms = 0.1, .created = 3};
  assert_int_equal(tuning_record_plan(t, &key, &p), CLVGG_OK);
  assert_int_equal(tuning_record_peaks(t, &key, 340.1, 26.7), CLVGG_OK);
  char file[PATH_MAX + 64], again[PATH_MAX + 64];
  snprintf(file, sizeof file, "%s/export.json", folder);
  snprintf(again, sizeof again, "%s/again.json", folder);
  assert_int_equal(tuning_export(t, NULL, file), CLVGG_OK);
  tuning_import_report report;
  assert_int_equal(tuning_import(u, file, &report), CLVGG_OK);
  assert_int_equal(report.rows, 51);
  assert_int_equal(report.changed, 51);
  assert_int_equal(tuning_import(u, file, &report), CLVGG_OK);
  assert_int_equal(report.rows, 51);
  assert_int_equal(report.changed, 0);

  tuning_measurement *a, *b;
  size_t count, copies;
  assert_int_equal(tuning_list(t, &key, &a, &count), CLVGG_OK);
  assert_int_equal(tuning_list(u, &key, &b, &copies), CLVGG_OK);
  assert_int_equal(count, copies);
  for (size_t i = 0; i < count; i++) {
    if (a[i].other_software) continue; /* their order depends on when devices came */
    assert_int_equal(b[i].source, TUNING_IMPORTED);
    assert_int_equal(b[i].session, 0);
    b[i].source = a[i].source;
    b[i].session = a[i].session;
    assert_memory_equal(&a[i], &b[i], sizeof a[i]);
  }
  free(a);
  free(b);
  tuning_device d;
  bool have;
  tuning_plan plan;
  assert_int_equal(tuning_find_device(u, &key, &d, &have), CLVGG_OK);
  assert_true(have && d.peak_gflops == 340.1 && d.peak_gbytes_per_s == 26.7);
  assert_int_equal(tuning_find_plan(u, &key, "n", &plan, &have), CLVGG_OK);
  assert_true(have && plan.ms == 1.0 / 3 && plan.source == TUNING_IMPORTED);

  /* Back where it was measured it changes nothing; one device alone can be exported. */
  assert_int_equal(tuning_import(t, file, &report), CLVGG_OK);
  assert_int_equal(report.changed, 0);
  tuning_close(&u);
  u = open_memory();
  assert_int_equal(tuning_export(t, &other, again), CLVGG_OK);
  assert_int_equal(tuning_import(u, again, &report), CLVGG_OK);
  assert_int_equal(report.rows, 17);
  tuning_close(&t);
  tuning_close(&u);
}

#define HEAD "{\"format\": \"clvgg tuning\", \"version\": 1, \"devices\": ["
#define ROW(text)                                                                                                  \
  HEAD "{\"name\": \"d\", \"measurements\": [{\"problem\": \"first\", \"algorithm\": \"a\", \"state\": \"nan\"}, " \
       "{" text "}]}]}"
#define START "\"problem\": \"p\", \"algorithm\": \"a\", "

static void bad_json_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
    clvgg_status status;
  } rows[] = {
      {"", "line", CLVGG_ERROR_FORMAT},
      {"[]", "format", CLVGG_ERROR_FORMAT},
      {"{", "line 1", CLVGG_ERROR_FORMAT},
      {"{\"format\": \"other\"}", "found \"other\", expected \"clvgg tuning\"", CLVGG_ERROR_FORMAT},
      {"{\"format\": \"clvgg tuning\", \"format\": \"clvgg tuning\"}", "duplicate", CLVGG_ERROR_FORMAT},
      {"{\"format\": \"clvgg tuning\", \"devices\": []}", "version", CLVGG_ERROR_FORMAT},
      {"{\"format\": \"clvgg tuning\", \"version\": 2, \"devices\": 7}", "found 2, expected at most 1",
       CLVGG_ERROR_UNSUPPORTED},
      {"{\"format\": \"clvgg tuning\", \"version\": 1, \"devices\": 7}", "devices", CLVGG_ERROR_FORMAT},
      {HEAD "7]}", "devices[0]: is no object", CLVGG_ERROR_FORMAT},
      {HEAD "{}]}", "devices[0]: name: is missing", CLVGG_ERROR_FORMAT},
      {HEAD "{\"name\": \"d\", \"compute_units\": 1.5}]}", "compute_units: found 1.5, expected a whole number",
       CLVGG_ERROR_FORMAT},
      {HEAD "{\"name\": \"d\", \"measurements\": {}}]}", "measurements: is no array", CLVGG_ERROR_FORMAT},
      {HEAD "{\"name\": \"a\\u0007b\"}]}", "name: found", CLVGG_ERROR_FORMAT},
      {HEAD "{\"name\": \"a\\u0000b\"}]}", "line 1", CLVGG_ERROR_FORMAT},
      {ROW(""), "devices[0].measurements[1]: problem: is missing", CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"fine\""), "state: found \"fine\", expected one of ok build crash hang",
       CLVGG_ERROR_FORMAT},
      {ROW("\"problem\": \"p\", \"algorithm\": \"\", \"state\": \"nan\""), "algorithm: found an empty text",
       CLVGG_ERROR_FORMAT},
      {ROW(START "\"parameters\": 4"), "parameters: found 4, expected a text of at most 191 bytes", CLVGG_ERROR_FORMAT},
      {ROW(START), "line 1", CLVGG_ERROR_FORMAT},
      {ROW(START "\"seconds\": 1"), "state: is missing", CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"ok\""), "seconds: found 0", CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"ok\", \"seconds\": -1"), "seconds: found -1, expected a number from 0",
       CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"ok\", \"seconds\": \"1\""), "seconds: found \"1\", expected a number",
       CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"ok\", \"seconds\": 1e99"), "seconds: found 1e+99", CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"ok\", \"seconds\": 1e999"), "line 1", CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"ok\", \"seconds\": 1, \"runs\": -1"), "runs: found -1", CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"ok\", \"seconds\": 1, \"runs\": null"), "runs: found null", CLVGG_ERROR_FORMAT},
      {ROW(START "\"state\": \"ok\", \"seconds\": 1, \"created\": 99999999999999999"), "created: found 1e+17",
       CLVGG_ERROR_FORMAT},
  };
  tuning *t = open_memory();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char *file = make_file("bad.json", rows[i].text);
    const clvgg_status status = tuning_import(t, file, NULL);
    if (status != rows[i].status || !strstr(clvgg_last_error(), rows[i].expected) ||
        !strstr(clvgg_last_error(), "bad.json"))
      fail_msg("%s\n  status %d, %s\n  expected %s", rows[i].text, status, clvgg_last_error(), rows[i].expected);
  }
  /* A text that is one byte too long, and one that just fits. */
  char text[1000], name[300];
  for (int length = 255; length <= 256; length++) {
    memset(name, 'x', sizeof name);
    name[length] = '\0';
    snprintf(text, sizeof text, HEAD "{\"name\": \"%s\"}]}", name);
    assert_int_equal(tuning_import(t, make_file("long.json", text), NULL),
                     length == 255 ? CLVGG_OK : CLVGG_ERROR_FORMAT);
  }
  assert_int_equal(tuning_import(t, "/nowhere/export.json", NULL), CLVGG_ERROR_IO);
  /* The sound row before a bad one was not taken either. */
  tuning_key key = {.name = "d"};
  tuning_measurement *list;
  size_t count;
  assert_int_equal(tuning_list(t, &key, &list, &count), CLVGG_OK);
  assert_int_equal(count, 0);
  /* And this is what makes those rows good. */
  assert_int_equal(
      tuning_import(t, make_file("good.json", ROW(START "\"state\": \"ok\", \"seconds\": 1, \"new\": []")), NULL),
      CLVGG_OK);
  assert_int_equal(tuning_list(t, &key, &list, &count), CLVGG_OK);
  assert_int_equal(count, 2);
  free(list);
  tuning_close(&t);
}

static void the_nearest_preset_is_loaded(void **state) {
  (void)state;
  clvgg_device_info dev = device(CLVGG_DEVICE_CPU);
  strcpy(dev.platform, "Portable Computing Language");
  strcpy(dev.name, "pthread-skylake-avx512-something else");
  const tuning_key key = made_up_key("1.0");
  const char *index = TEST_DATA_DIR "/tuning/index.txt";
  tuning *t;
  char name[256];
  assert_int_equal(tuning_preset_load(index, &dev, &key, &t, name), CLVGG_OK);
  assert_string_equal(name, "avx512.json");
  tuning_measurement *rows;
  size_t count;
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
  assert_int_equal(count, 2);
  for (size_t i = 0; i < count; i++) assert_true(rows[i].source == TUNING_PRESET && !rows[i].other_software);
  free(rows);
  tuning_device d;
  tuning_plan plan;
  bool have;
  assert_int_equal(tuning_find_device(t, &key, &d, &have), CLVGG_OK);
  assert_true(have && d.peak_gflops > 0); /* that its times belong to */
  assert_int_equal(tuning_find_plan(t, &key, "vgg16 batch 1 f32", &plan, &have), CLVGG_OK);
  assert_true(have && plan.source == TUNING_PRESET);
  tuning_close(&t);

  strcpy(dev.name, "an older processor");
  assert_int_equal(tuning_preset_load(index, &dev, &key, &t, name), CLVGG_OK);
  assert_string_equal(name, "any_cpu.json");
  tuning_close(&t);
  dev.type = CLVGG_DEVICE_GPU;
  assert_int_equal(tuning_preset_load(index, &dev, &key, &t, name), CLVGG_OK);
  assert_null(t);
  assert_string_equal(name, "");
  assert_int_equal(tuning_preset_load("/nowhere/index.txt", &dev, &key, &t, name), CLVGG_OK);
  assert_null(t);
  /* Names that lead elsewhere, presets that are none. */
  assert_int_equal(tuning_preset_load(make_file("index.txt", "../avx512.json\n"), &dev, &key, &t, name),
                   CLVGG_ERROR_FORMAT);
  make_file("empty.json", HEAD "]}");
  assert_int_equal(tuning_preset_load(make_file("index.txt", "empty.json"), &dev, &key, &t, name), CLVGG_ERROR_FORMAT);
  assert_non_null(strstr(clvgg_last_error(), "match"));
  assert_int_equal(tuning_preset_load(make_file("index.txt", "gone.json"), &dev, &key, &t, name), CLVGG_ERROR_IO);
  assert_null(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(exports_come_back),
      TEST(bad_json_is_refused),
      TEST(the_nearest_preset_is_loaded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
