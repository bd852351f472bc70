/* clvgg devices --report: what it says of a device on which one algorithm is broken, and that it names no folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "e2e/cli.h"

/* A compiler's error that has a path in it. */
static const char planted[] = "#error found in /home/somebody/secret/broken.h\n";

/* The kernels, one of which does not compile, in a folder of their own: its path to out. */
static void plant(char *out) {
  static unsigned char source[1 << 18];
  char path[4096], name[300];
  make_path(out, "kernels");
  assert_int_equal(mkdir(out, 0700), 0);
  DIR *dir = opendir(KERNEL_DIR);
  assert_non_null(dir);
  for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
    if (!strstr(e->d_name, ".cl")) continue;
    snprintf(path, sizeof path, KERNEL_DIR "/%.200s", e->d_name);
    snprintf(name, sizeof name, "kernels/%.200s", e->d_name);
    const size_t bytes = read_file(path, source, sizeof source);
    if (!strcmp(e->d_name, "fc_naive.cl"))
      write_file(name, planted, sizeof planted - 1);
    else
      write_file(name, source, bytes);
  }
  closedir(dir);
}

static json_t *member(const json_t *object, const char *name) {
  return field(object, name, JSON_OBJECT);
}

static void expect_algorithm(const json_t *verify, const char *name, int works) {
  const json_t *a = member(member(verify, "algorithms"), name);
  assert_true((number(a, "ok") > 0) == (works == 1));
  assert_true((number(a, "failed") > 0) == (works == 0));
  if (works == 0) {
    const json_t *reason = json_array_get(field(a, "reasons", JSON_ARRAY), 0);
    assert_true(json_is_true(field(reason, "failed", JSON_TRUE)));
    assert_non_null(strstr(text(reason, "reason"), "found in broken.h"));
    assert_null(strstr(text(reason, "reason"), text(reason, "layer")));
  }
}

/* No text is, or has a word that is, an absolute path. */
static void expect_no_paths(const json_t *value) {
  const char *key;
  json_t *inner;
  if (json_is_string(value)) {
    static const char *const roots[] = {"/home", "/tmp", "/root", "/usr", "/var"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
      if (strstr(json_string_value(value), roots[i])) fail_msg("'%s' has a path", json_string_value(value));
  }
  json_object_foreach((json_t *)value, key, inner) expect_no_paths(inner);
  for (size_t i = 0; i < json_array_size(value); i++) expect_no_paths(json_array_get(value, i));
}

static void a_report_says_what_works_and_what_does_not(void **state) {
  (void)state;
  char kernels[4096], path[4096];
  static unsigned char written[1 << 20];
  plant(kernels);
  make_path(path, "report.json");
  run("devices --json");
  json_t *list = parse();
  setenv("CLVGG_KERNEL_DIR", kernels, 1);
  run("devices --report --quick %s", path);
  unsetenv("CLVGG_KERNEL_DIR");
  expect_code(0);
  assert_string_equal(last.out, "");
  assert_non_null(strstr(last.err, "checks failed"));
  json_error_t error;
  json_t *report =
      json_loadb((char *)written, read_file(path, written, sizeof written), JSON_REJECT_DUPLICATES, &error);
  assert_non_null(report);

  assert_true(number(report, "format") == 1);
  assert_true(strlen(text(report, "kernels")) == 16 && *text(report, "clvgg"));
  const json_t *device = member(report, "device"), *roofline = member(report, "roofline");
  assert_true(number(roofline, "peak_gflops") > 0 && number(roofline, "peak_gbytes_per_s") > 0);
  assert_true(json_array_size(field(device, "extensions", JSON_ARRAY)) > 0);
  assert_true(number(device, "preferred_multiple") > 0);
  /* All that the list says, and what only an open device can. */
  const char *key;
  json_t *value;
  json_object_foreach(json_array_get(list, 0), key, value) {
    const int found_later = strcmp(key, "amx_bf16") == 0 || strcmp(key, "avx512_bf16") == 0;
    if (found_later)
      assert_true(json_is_boolean(json_object_get(device, key)));
    else
      field(device, key, json_typeof(value));
  }

  const json_t *verify = member(report, "verify");
  assert_true(number(verify, "failed") == 3 && number(verify, "checked") > 100 && number(verify, "unsupported") > 0);
  expect_algorithm(verify, "fc_f32_naive", 0);
  expect_algorithm(verify, "fc_f32_tiled", 1);
  const json_t *networks = field(report, "networks", JSON_ARRAY);
  assert_int_equal(json_array_size(networks), 1);
  assert_true(json_array_size(field(json_array_get(networks, 0), "layers", JSON_ARRAY)) > 10);
  expect_no_paths(report);
  json_decref(report);
  json_decref(list);
}

static void what_cannot_be_written_is_reported(void **state) {
  (void)state;
  run("devices --report --quick /no/such/folder/report.json");
  expect_error(1, "/no/such/folder");
  run("devices --report -d no-such-device");
  expect_error(1, "no-such-device");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(what_cannot_be_written_is_reported),
                                     cmocka_unit_test(a_report_says_what_works_and_what_does_not)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
