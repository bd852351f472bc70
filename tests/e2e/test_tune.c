/* clvgg tune: what it says, wrong usage, exported and imported plans, and the end by Ctrl-C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/program.h"

#define TUNE "tune --json --budget 0.1 -m " MODEL

static void help_says_how(void **state) {
  (void)state;
  run("tune --help");
  expect_code(0);
  static const char *const words[] = {"--budget", "--exhaustive", "--layer", "--timeout", "--fresh",
                                      "--export", "--import",     "--rgb8",  "--batch",   "Ctrl-C"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strstr(last.out, words[i])) fail_msg("no %s in %s", words[i], last.out);
}

static void check_report(const json_t *r, double batch) {
  static const char *const texts[] = {"model", "device", "device_id", "reason"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) text(r, texts[i]);
  assert_true(number(r, "batch") == batch);
  assert_true(number(r, "seconds") > 0 && number(r, "tried") >= number(r, "failed") && number(r, "known") >= 0);
  assert_true(number(r, "restarts") == 0);
  assert_true(number(r, "ms") > 0 && number(r, "untuned_ms") > 0 && number(r, "ratio") > 0);
  assert_true(number(r, "logits_error") >= 0 && number(r, "logits_error") < 1e-3);
  const bool accepted = json_is_true(field(r, "accepted", JSON_TRUE));
  assert_true(accepted == (text(r, "reason")[0] == '\0'));
  assert_true(json_is_true(field(r, "stored", JSON_TRUE)));
}

static void json_has_a_report_a_batch(void **state) {
  (void)state;
  run(TUNE " -b 1,3");
  expect_code(0);
  assert_string_equal(last.err, "");
  json_t *list = parse();
  assert_int_equal(json_array_size(list), 2);
  check_report(json_array_get(list, 0), 1);
  check_report(json_array_get(list, 1), 3);
  json_decref(list);
}

static void other_networks_are_tuned(void **state) {
  (void)state;
  static const char *const lines[] = {"--input 64x48", "-b 64", "--rgb8", "--precision f16w", "--memory small"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    run(TUNE " %s", lines[i]);
    if (last.code) fail_msg("%s: %s", lines[i], last.err);
    json_t *list = parse();
    check_report(json_array_get(list, 0), i == 1 ? 64 : 1);
    json_decref(list);
  }
}

static void wrong_usage_is_2(void **state) {
  (void)state;
  static const struct {
    const char *line, *part;
  } wrong[] = {{"tune --budget", "--budget needs a value"},
               {"tune --budget -1", "--budget"},
               {"tune --budget soon", "--budget"},
               {"tune --timeout 0", "--timeout"},
               {"tune --budget nan", "--budget"},
               {"tune --batch 0", "--batch"},
               {"tune --batch 1,,2", "--batch"},
               {"tune x.pth", "x.pth"},
               {"tune --arch vgg16 -m x.pth", "--arch"},
               {"tune --algorithm conv_f32_nchw_naive", "--algorithm"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    run("%s", wrong[i].line);
    expect_error(2, wrong[i].part);
  }
}

static void what_is_not_there_is_1(void **state) {
  (void)state;
  run(TUNE " --layer conv9_9");
  expect_error(1, "no layer 'conv9_9'");
  run(TUNE " -d no-such-device");
  expect_error(1, "no-such-device");
  run("tune --arch vgg99");
  expect_error(1, "vgg99");
  run("tune --import %s/nothing.json", folder);
  expect_error(1, "nothing.json");
  write_file("wrong.json", "{\"format\": \"another\"}", 21);
  run("tune --import %s/wrong.json", folder);
  expect_error(1, "wrong.json");
  run("tune --export %s/no/folder.json", folder);
  expect_error(1, "folder.json");
}

/* The part that calls itself a worker is for clvgg alone. */
static void a_worker_needs_its_parent(void **state) {
  (void)state;
  run("tune-worker");
  expect_code(2);
}

static void wrong_programs_are_an_error(void **state) {
  (void)state;
  static const char *const programs[] = {"/nonexistent/clvgg", "/bin/true", "/bin/cat", "/bin/yes"};
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
    setenv("CLVGG_PROGRAM", programs[i], 1);
    run(TUNE " --timeout 1");
    unsetenv("CLVGG_PROGRAM");
    if (last.code != 1 || command_lines(last.err) != 1) fail_msg("%s: %d, %s", programs[i], last.code, last.err);
  }
}

/* An accepted plan, as if it had been found: the last fully connected layer by the naive algorithm. */
static void store_a_plan(void) {
  run(TUNE);
  expect_code(0);
  tuning *t = open_database();
  const tuning_key key = only_key(t);
  tuning_plan *plans = NULL, *plan = NULL;
  size_t count = 0;
  assert_int_equal(tuning_list_plans(t, &key, &plans, &count), CLVGG_OK);
  for (size_t i = 0; i < count; i++)
    if (strstr(plans[i].network, " b1 f32") && !strstr(plans[i].network, "rgb8") &&
        !strstr(plans[i].network, "small") && strstr(plans[i].network, "3x32x32"))
      plan = &plans[i];
  if (!plan) {
    fail_msg("no plan among %zu", count);
    return;
  }
  char *at = strstr(plan->steps, "; fc_");
  for (char *next = at; next; next = strstr(next + 1, "; fc_")) at = next;
  if (!at) {
    fail_msg("no fully connected layer in %s", plan->steps);
    return;
  }
  char rest[sizeof plan->steps];
  snprintf(rest, sizeof rest, "%s", strchr(at + 2, ';') ? strchr(at + 2, ';') : "");
  snprintf(at, sizeof plan->steps - (size_t)(at - plan->steps), "; fc_f32_naive 1%s", rest);
  plan->state = TUNING_ACCEPTED;
  plan->reason[0] = '\0';
  assert_int_equal(tuning_record_plan(t, &key, plan), CLVGG_OK);
  free(plans);
  tuning_close(&t);
}

static void expect_source(const char *source) {
  run("explain --json -n 1 -m " MODEL);
  expect_code(0);
  json_t *o = parse();
  const json_t *layers = field(o, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++)
    assert_string_equal(text(json_array_get(layers, i), "source"), source);
  json_decref(o);
}

static void exported_plans_are_imported(void **state) {
  (void)state;
  char home[4096];
  store_a_plan();
  expect_source("measured");
  run("tune --json --export %s/shared.json", folder);
  expect_code(0);
  make_path(home, "another-home");
  setenv("XDG_DATA_HOME", home, 1);
  run("tune --json --import %s/shared.json", folder);
  expect_code(0);
  json_t *o = parse();
  assert_true(number(o, "rows") > 1 && number(o, "changed") == number(o, "rows"));
  json_decref(o);
  expect_source("imported");
  run("tune --json --import %s/shared.json", folder);
  expect_code(0);
  o = parse();
  assert_true(number(o, "rows") > 1 && number(o, "changed") == 0);
  json_decref(o);
  setenv("XDG_DATA_HOME", folder, 1);
  /* What was measured here stays. */
  run("tune --import %s/shared.json", folder);
  expect_code(0);
  assert_non_null(strstr(last.out, ", 0 of them new here"));
  expect_source("measured");
}

/* ---- Ctrl-C */

/* Whether it has the plan without tuning timed, which is the least that a verdict needs. */
static bool has_rows(void) {
  tuning *t = open_database();
  tuning_device *devices = NULL;
  tuning_measurement *rows = NULL;
  size_t count = 0;
  assert_int_equal(tuning_list_devices(t, &devices, &count), CLVGG_OK);
  if (count > 0) assert_int_equal(tuning_list(t, &devices[0].key, &rows, &count), CLVGG_OK);
  free(devices);
  free(rows);
  tuning_close(&t);
  return count > 0;
}

static void wait_for_rows(const char *home) {
  snprintf(database, sizeof database, "%.4000s/clvgg/" TUNING_FILE, home);
  struct stat info;
  for (unsigned ms = 0; stat(database, &info) || info.st_size == 0 || !has_rows(); ms += 50) {
    if (ms > run_seconds * 1000) fail_msg("no row after %u s", run_seconds);
    sleep_ms(50);
  }
}

static void interrupted(const char *name, int times, bool verdict) {
  char home[4096], setting[4200], mark[64];
  snprintf(mark, sizeof mark, "CLVGG_TEST_MARK=%ld", (long)getpid());
  make_path(home, name);
  snprintf(setting, sizeof setting, "XDG_DATA_HOME=%s", home);
  setenv("CLVGG_TEST_MARK", strchr(mark, '=') + 1, 1);
  const pid_t pid = start(name, setting, "tune --json --budget 0 --exhaustive -m " MODEL);
  unsetenv("CLVGG_TEST_MARK");
  wait_for_rows(home);
  for (int i = 0; i < times; i++) {
    kill(pid, SIGINT);
    if (i + 1 < times) sleep_ms(150); /* two at once may count as one */
  }
  const int code = wait_for(pid);
  char *out = written(name, "out"), *err = written(name, "err");
  if (code) fail_msg("exit status %d: %s", code, err);
  json_t *list = json_loads(out, 0, NULL);
  assert_int_equal(json_array_size(list), 1);
  const json_t *r = json_array_get(list, 0);
  /* The end may have been as fast as the second signal. */
  if (verdict || !strstr(text(r, "reason"), "ended before")) check_report(r, 1);
  json_decref(list);
  free(out);
  free(err);
  assert_int_equal(count_with(mark), 0);
  assert_true(has_rows());
}

static void an_interrupt_ends_with_a_verdict(void **state) {
  (void)state;
  interrupted("once", 1, true);
}

static void a_second_one_ends_at_once(void **state) {
  (void)state;
  interrupted("twice", 2, false);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(help_says_how),
      cmocka_unit_test(json_has_a_report_a_batch),
      cmocka_unit_test(other_networks_are_tuned),
      cmocka_unit_test(wrong_usage_is_2),
      cmocka_unit_test(what_is_not_there_is_1),
      cmocka_unit_test(a_worker_needs_its_parent),
      cmocka_unit_test(wrong_programs_are_an_error),
      cmocka_unit_test(exported_plans_are_imported),
      cmocka_unit_test(an_interrupt_ends_with_a_verdict),
      cmocka_unit_test(a_second_one_ends_at_once),
  };
  return cmocka_run_group_tests(tests, set_up_program, tear_down);
}
