/* Kernels that hang, crash, are wrong, yield NaN or do not compile, in a tuning run: each ends as the right row, and never in a plan. */
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

#include "fault/program.h"
#include "kernels/planted.h"

/*
 * A fully connected layer is soon searched, even for everything that is legal. These parameters are legal on every CPU, and not what
 * the rules choose for one image. outputs is 512 in the layer searched, 10 in the last, and at most 69 in the small problems by which
 * algorithms are checked: what is only wrong for more is found at the real size.
 */
#define LAYER "fc7"
static const struct planted_fault {
  const char *parameters, *condition, *statement;
  tuning_state state;
  const char *reason; /* a part of it */
} faults[] = {
    {"ROWS=1 IMAGES=1", "ROWS == 1 && IMAGES == 1", "#error planted", TUNING_BUILD, "error: "},
    {"ROWS=1 IMAGES=2", "ROWS == 1 && IMAGES == 2",
     "volatile __global float *to = out; do to[0] = 0; while (to[0] == 0);", TUNING_HANG, "no answer"},
    {"ROWS=2 IMAGES=2", "ROWS == 2 && IMAGES == 2", "*(volatile __global float *)(size_t)(16 + outputs % 2) = 1;",
     TUNING_CRASH, "SIGSEGV"},
    {"ROWS=1 IMAGES=4", "ROWS == 1 && IMAGES == 4",
     "if (outputs > 69) { for (int j = 0; j < STEP && row + j < outputs; j++)"
     " for (int n = 0; n < batch; n++) out[(size_t)n * outputs + row + j] = 0.25f; return; }",
     TUNING_WRONG, "off by"},
    {"ROWS=1 IMAGES=8", "ROWS == 1 && IMAGES == 8",
     "bias += STEP * group * 0; lowest = NAN;"
     " for (int j = 0; j < STEP && row + j < outputs; j++)"
     " for (int n = 0; n < batch; n++) out[(size_t)n * outputs + row + j] = NAN; return;",
     TUNING_NAN, "not finite"},
};
#define FAULTS (sizeof faults / sizeof *faults)
/* Each is there for plain and for blocked activations. */
static const char *const algorithms[] = {"fc_f32_gemv", "fc_f32_nchwc_gemv"};
#define ALGORITHMS (sizeof algorithms / sizeof *algorithms)

/* --timeout: far longer than any that does not hang takes. */
#define TUNE "tune -v --json --exhaustive --layer " LAYER " --timeout 5 -m " MODEL

static char kernels[64];

static void plant(void) {
  static const char anchor[] = "  const int group = get_group_id(0), row = first_row + group * STEP;\n";
  char text[4096];
  int used = snprintf(text, sizeof text, "%s", anchor);
  for (size_t i = 0; i < FAULTS; i++)
    used += snprintf(text + used, sizeof text - (size_t)used, "#%s !defined(INT24) && !defined(HALF) && %s\n%s\n",
                     i ? "elif" : "if", faults[i].condition, faults[i].statement);
  used += snprintf(text + used, sizeof text - (size_t)used, "#endif\n");
  assert_true(used < (int)sizeof text);
  planted_kernels(kernels, "fc_gemv.cl", anchor, text);
}

static const struct planted_fault *fault_of(const char *algorithm, const char *parameters) {
  bool planted = false;
  for (size_t i = 0; i < ALGORITHMS; i++) planted = planted || strcmp(algorithm, algorithms[i]) == 0;
  for (size_t i = 0; planted && i < FAULTS; i++)
    if (strcmp(parameters, faults[i].parameters) == 0) return &faults[i];
  return NULL;
}

/* One row for each, with its state and reason. */
static void check_rows(void) {
  tuning *t = open_database();
  const tuning_key key = only_key(t);
  tuning_measurement *rows = NULL;
  size_t count = 0, found = 0, right = 0;
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
  for (size_t i = 0; i < count; i++) {
    const tuning_measurement *row = &rows[i];
    const struct planted_fault *fault = fault_of(row->algorithm, row->parameters);
    right += row->state == TUNING_OK;
    if (!fault) continue;
    found++;
    if (row->state != fault->state || !strstr(row->reason, fault->reason))
      fail_msg("%s [%s] is '%s' because of '%s', expected '%s' because of '%s'", row->algorithm, row->parameters,
               tuning_state_name(row->state), row->reason, tuning_state_name(fault->state), fault->reason);
  }
  free(rows);
  tuning_close(&t);
  assert_int_equal(found, FAULTS * ALGORITHMS);
  assert_true(right > 0);
}

/* Neither the one that is stored nor the one that engines get has any of them, and it gives the right answer. */
static void check_plans(void) {
  tuning *t = open_database();
  const tuning_key key = only_key(t);
  tuning_plan *plans = NULL;
  size_t count = 0;
  assert_int_equal(tuning_list_plans(t, &key, &plans, &count), CLVGG_OK);
  assert_int_equal(count, 1);
  for (size_t i = 0; i < FAULTS; i++)
    if (strstr(plans[0].steps, faults[i].parameters)) fail_msg("the plan is %s", plans[0].steps);
  free(plans);
  tuning_close(&t);
  run("explain --json -n 1 -m " MODEL);
  expect_code(0);
  json_t *o = parse();
  const json_t *layers = field(o, "layers", JSON_ARRAY);
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *l = json_array_get(layers, i);
    if (fault_of(text(l, "algorithm"), text(l, "parameters")))
      fail_msg("%s is computed by %s [%s]", text(l, "name"), text(l, "algorithm"), text(l, "parameters"));
  }
  json_decref(o);
  expect_right_answer();
}

/* Tunes; the report's number of that name has to be this, or more: on a slow machine something else may seem to hang. */
static void tune(const char *name, double least, double most) {
  run(TUNE);
  expect_code(0);
  json_t *list = parse();
  const json_t *report = json_array_get(list, 0);
  assert_true(json_is_true(field(report, "stored", JSON_TRUE)));
  if (!(number(report, name) >= least && number(report, name) <= most))
    fail_msg("%s are %g, expected %g to %g\n%s%s", name, number(report, name), least, most, last.out, last.err);
  json_decref(list);
}

static void each_becomes_its_row_and_no_plan(void **state) {
  (void)state;
  tune("restarts", 4, 20); /* two hung and two crashed; the others came to an end by themselves */
  check_rows();
  check_plans();
}

static void none_is_tried_again(void **state) {
  (void)state;
  tune("failed", 0, 0);
  check_rows();
}

/* As if everything had been found under another driver, but for what hangs: that takes so long to find out again. */
static void change_driver(void) {
  tuning *t = open_database();
  const tuning_key key = only_key(t);
  tuning_key other = key;
  tuning_measurement *rows = NULL;
  size_t count = 0;
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
  assert_int_equal(tuning_clear(t, NULL), CLVGG_OK);
  strcpy(other.driver, "another");
  for (size_t i = 0; i < count; i++)
    assert_int_equal(tuning_record(t, rows[i].state == TUNING_HANG ? &key : &other, &rows[i]), CLVGG_OK);
  free(rows);
  tuning_close(&t);
}

static void another_drivers_failures_do_not_count(void **state) {
  (void)state;
  change_driver();
  const size_t again = (FAULTS - 1) * ALGORITHMS;
  tune("failed", (double)again, 100);
}

/* They are not tried by themselves for their time, which is that of a launch, and no plan without tuning here has one. */
static void crashing_changes_of_layout_cost_no_run(void **state) {
  (void)state;
  planted_kernels(kernels, "convert.cl", "  __global float *to = out + ((size_t)(n * blocks + b)",
                  "  *(volatile __global float *)(size_t)(16 + pixels % 2) = 1;\n"
                  "  __global float *to = out + ((size_t)(n * blocks + b)");
  run("tune -v --json --budget 0 --layer fc8 -m " MODEL);
  if (last.code) fail_msg("exit status %d: %s", last.code, last.err);
  if (!strstr(last.err, "convert_f32_nchw_nchwc") || !strstr(last.err, "SIGSEGV")) fail_msg("not told: %s", last.err);
  expect_right_answer();
}

static int plant_too(void **state) {
  if (set_up_program(state)) return -1;
  snprintf(kernels, sizeof kernels, "%s/cl", folder);
  if (mkdir(kernels, 0700)) return -1;
  plant();
  setenv("CLVGG_KERNEL_DIR", kernels, 1);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_becomes_its_row_and_no_plan),
                                     cmocka_unit_test(none_is_tried_again),
                                     cmocka_unit_test(another_drivers_failures_do_not_count),
                                     cmocka_unit_test(crashing_changes_of_layout_cost_no_run)};
  run_seconds = 900;
  return cmocka_run_group_tests(tests, plant_too, tear_down);
}
