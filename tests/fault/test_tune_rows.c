/* Plans in the database that fit nothing, are wrong or of another driver, and databases that cannot be used: the answer is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/program.h"
#include "kernels/planted.h"

/* What classify runs. */
#define EXPLAIN "explain --json -n 1 --rgb8 -m " MODEL

static tuning_key key;
/* As tuning left it for what classify runs; where it found nothing faster that is the plan without tuning. */
static tuning_plan found;

/* ---- rows */

/* A database with nothing but this plan. */
static void store_plan(const tuning_key *of, const char *steps) {
  remove(database);
  tuning *t = open_database();
  tuning_plan row = found;
  row.state = TUNING_ACCEPTED;
  row.reason[0] = '\0';
  row.source = TUNING_MEASURED;
  snprintf(row.steps, sizeof row.steps, "%s", steps);
  assert_int_equal(tuning_record_plan(t, of, &row), CLVGG_OK);
  tuning_close(&t);
}

/* Every step's source; NULL: none of tuning's. */
static void expect_source(const char *source) {
  run(EXPLAIN);
  expect_code(0);
  json_t *o = parse();
  const json_t *layers = field(o, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const char *is = text(json_array_get(layers, i), "source");
    if (source ? strcmp(is, source) != 0 : strstr(is, "measured") || strstr(is, "anew"))
      fail_msg("the source of step %zu is '%s', expected %s", i, is, source ? source : "that of a plan without tuning");
  }
  json_decref(o);
}

/* The plan found with the first from in it replaced. */
static const char *edited(const char *from, const char *to) {
  static char steps[sizeof found.steps + 256];
  const char *at = strstr(found.steps, from);
  if (!at) fail_msg("'%s' is not in the plan %s", from, found.steps);
  snprintf(steps, sizeof steps, "%.*s%s%s", (int)(at - found.steps), found.steps, to, at + strlen(from));
  return steps;
}

/* The name and parameters of the plan's last step but for softmax: the smallest layer's. */
static void cut_last(char *out, size_t bytes) {
  const char *at = strstr(found.steps, "; fc_");
  for (const char *next = at; next; next = strstr(next + 1, "; fc_")) at = next;
  if (!at) at = "; "; /* found nowhere, then */
  snprintf(out, bytes, "%.*s", (int)strcspn(at + 2, ";"), at + 2);
}

/* The last layer by the naive algorithm, which every device can run. */
static const char *plan_with_naive_end(void) {
  char last_step[200];
  cut_last(last_step, sizeof last_step);
  return edited(last_step, "fc_f32_naive 1");
}

/* The answer is right, and it is told that the plan is not used. */
static void expect_refusal(const char *what) {
  run("classify -v --json -m " MODEL " %s", image);
  expect_code(0);
  if (!is_right_answer(last.out)) fail_msg("%s: another answer than without tuning: %s", what, last.out);
  if (!strstr(last.err, "the tuned plan is not used")) fail_msg("%s: not told: %s", what, last.err);
}

static void plans_that_do_not_fit_are_not_used(void **state) {
  (void)state;
  static char many[sizeof found.steps];
  char last_step[200];
  size_t used = 0;
  cut_last(last_step, sizeof last_step);
  while (used + sizeof last_step + 2 < sizeof many)
    used += (size_t)snprintf(many + used, sizeof many - used, "%s%s", used ? "; " : "", last_step);
  static char longest[sizeof found.steps];
  memset(longest, 'x', sizeof longest - 1);
  const struct {
    const char *what, *steps;
  } plans[] = {
      {"nothing", ""},
      {"no text of a plan", "; ; ;[ ]] 3 %s%n"},
      {"absurdly long", longest},
      {"many steps", many},
      {"one step", last_step},
  };
  for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
    store_plan(&key, plans[i].steps);
    expect_refusal(plans[i].what);
  }
  static const char *const ends[] = {
      "fc_f32_quantum [ROWS=4] 1",                 /* unknown */
      "fc_f32_gemv [ROWS=3 IMAGES=1] 1",           /* illegal */
      "fc_f32_gemv [ROWS=4 IMAGES=12] 1",          /* legal each, not together */
      "fc_f32_gemv [ROWS=99999999999 IMAGES=1] 1", /* no number that fits */
      "fc_f32_gemv [ROWS=-1] 1",
      "fc_f32_nchwc_gemv [ROWS=4 IMAGES=1] 1", /* reads another layout */
      "fc_f32_naive 2",                        /* more layers than are left */
      "fc_f32_naive 0",                        /* no layer */
      "fc_f32_naive 1; fc_f32_naive 1",        /* one too many */
      "fc_f16w_gemv [ROWS=4 IMAGES=1] 1",      /* of a precision that nobody asked for */
      "maxpool_f32_nchw_naive 1",              /* another operation */
      "fc_f32_naive [ROWS=4] 1",               /* has no parameters */
      "fc_f32_naive 1 of a later version",
  };
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    store_plan(&key, edited(last_step, ends[i]));
    expect_refusal(ends[i]);
  }
}

/* Else nothing of the above would prove anything. */
static void plans_that_fit_are_used(void **state) {
  (void)state;
  store_plan(&key, plan_with_naive_end());
  expect_source("measured");
  expect_right_answer();
}

/* ---- another driver */

static void another_drivers_plan_is_verified_first(void **state) {
  (void)state;
  tuning_key other = key;
  strcpy(other.driver, "another");
  store_plan(&other, plan_with_naive_end());
  expect_source("measured, verified anew");
  expect_right_answer();
}

/* With these kernels, too, the plan is of other software. */
static void another_drivers_plan_that_is_wrong_now_is_refused(void **state) {
  (void)state;
  char kernels[64];
  tuning_key other = key;
  strcpy(other.driver, "another");
  store_plan(&other, plan_with_naive_end());
  snprintf(kernels, sizeof kernels, "%s/cl", folder);
  assert_int_equal(mkdir(kernels, 0700), 0);
  planted_kernels(kernels, "fc_naive.cl", "sum += weights", "sum -= weights");
  setenv("CLVGG_KERNEL_DIR", kernels, 1);
  expect_source(NULL);
  expect_refusal("fc_f32_naive is wrong");
  unsetenv("CLVGG_KERNEL_DIR");
}

/* ---- databases that cannot be used */

static void remove_database(void) {
  char path[4200], command[4400];
  make_path(path, "clvgg");
  snprintf(command, sizeof command, "rm -rf %s", path);
  assert_int_equal(system(command), 0);
}

/* Tuning and classifying, with this as data home. */
static void expect_to_work_without(const char *home, bool stored) {
  char before[4096];
  snprintf(before, sizeof before, "%s", getenv("XDG_DATA_HOME"));
  setenv("XDG_DATA_HOME", home, 1);
  run("tune --json --rgb8 --budget 0.1 -m " MODEL);
  expect_code(0);
  json_t *list = parse();
  assert_int_equal(json_is_true(field(json_array_get(list, 0), "stored", JSON_TRUE)), stored);
  json_decref(list);
  expect_right_answer();
  setenv("XDG_DATA_HOME", before, 1);
}

static void a_file_is_in_the_folders_place(void **state) {
  (void)state;
  char path[4096];
  write_file("file", "x", 1);
  make_path(path, "file");
  expect_to_work_without(path, false);
  remove_database();
  write_file("clvgg", "x", 1);
  expect_to_work_without(folder, false);
  make_path(path, "clvgg");
  assert_int_equal(remove(path), 0);
}

static void there_is_no_room(void **state) {
  (void)state;
  expect_to_work_without("/dev/full", false); /* nor a folder */
  expect_to_work_without("/proc", false);     /* read-only even to root */
}

static void there_is_no_home(void **state) {
  (void)state;
  char home[4096], data[4096], cache[4096];
  snprintf(home, sizeof home, "%s", getenv("HOME") ? getenv("HOME") : "/");
  snprintf(data, sizeof data, "%s", getenv("XDG_DATA_HOME"));
  snprintf(cache, sizeof cache, "%s", getenv("XDG_CACHE_HOME"));
  unsetenv("HOME");
  unsetenv("XDG_DATA_HOME");
  unsetenv("XDG_CACHE_HOME");
  expect_right_answer();
  run("tune --json --rgb8 --budget 0.1 -m " MODEL);
  expect_code(0);
  setenv("HOME", home, 1);
  setenv("XDG_DATA_HOME", data, 1);
  setenv("XDG_CACHE_HOME", cache, 1);
  if (!strstr(last.out, "\"stored\": false")) fail_msg("%s", last.out);
}

/* Flipped bits all over the file: what is damaged is not used, or repaired. */
static void the_file_is_damaged(void **state) {
  (void)state;
  static unsigned char good[1 << 20], bad[1 << 20];
  store_plan(&key, plan_with_naive_end());
  const size_t bytes = read_file(database, good, sizeof good);
  assert_true(bytes > 4096 && bytes < sizeof good);
  for (size_t i = 0; i < 10; i++) {
    memcpy(bad, good, bytes);
    for (size_t at = i * 41; at < bytes; at += i < 4 ? 97 : 4999) bad[at] ^= (unsigned char)(1 << i % 8);
    if (i == 9) memcpy(bad + 60, "\xff\xff\xff\xff", 4); /* user_version: what is of no version */
    remove_database();
    char path[4096];
    make_path(path, "clvgg");
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("clvgg/" TUNING_FILE, bad, bytes);
    expect_right_answer();
  }
  /* Version 2: left alone. user_version is v << 16 | (~v & 0xffff), big-endian at byte 60. */
  memcpy(bad, good, bytes);
  memcpy(bad + 60, "\x00\x02\xff\xfd", 4);
  write_file("clvgg/" TUNING_FILE, bad, bytes);
  expect_right_answer();
  expect_to_work_without(folder, false);
  assert_int_equal(read_file(database, good, sizeof good), bytes);
  assert_memory_equal(good, bad, bytes);
}

static int tune_first(void **state) {
  if (set_up_program(state)) return -1;
  run("tune --json --rgb8 --budget 0.1 -m " MODEL);
  expect_code(0);
  tuning *t = open_database();
  key = only_key(t);
  tuning_plan *plans = NULL;
  size_t count = 0;
  if (tuning_list_plans(t, &key, &plans, &count) || count != 1) return -1;
  found = plans[0];
  free(plans);
  tuning_close(&t);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plans_that_fit_are_used),
      cmocka_unit_test(plans_that_do_not_fit_are_not_used),
      cmocka_unit_test(another_drivers_plan_is_verified_first),
      cmocka_unit_test(another_drivers_plan_that_is_wrong_now_is_refused),
      cmocka_unit_test(the_file_is_damaged),
      cmocka_unit_test(a_file_is_in_the_folders_place),
      cmocka_unit_test(there_is_no_room),
      cmocka_unit_test(there_is_no_home),
  };
  run_seconds = 600;
  return cmocka_run_group_tests(tests, tune_first, tear_down);
}
