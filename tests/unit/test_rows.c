/* Tuning in the database's words: networks' names, candidates' rows and back, and what is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "algo/text.h"
#include "network/network.h"
#include "tune/rows.h"
#include "unit/made_up_device.h"
#include "unit/tuning_fixture.h"

static void name_of(const char *family, size_t height, size_t width, const clvgg_engine_options *o, char *out) {
  network *net = NULL;
  layer *layers = NULL;
  size_t count = 0;
  assert_int_equal(network_random(family, 1, &net), CLVGG_OK);
  assert_int_equal(network_layers(net, height, width, o->softmax != 0, &layers, &count), CLVGG_OK);
  rows_network(layers, count, o, out);
  free(layers);
  network_close(&net);
}

static clvgg_engine_options options(void) {
  return (clvgg_engine_options){.struct_size = sizeof(clvgg_engine_options), .max_batch = 1};
}

static void a_networks_text_says_what_it_is(void **state) {
  (void)state;
  const clvgg_engine_options o = options();
  char text[ROWS_NETWORK_BYTES];
  name_of("vgg11", 224, 224, &o, text);
  assert_int_equal(strncmp(text, "8 conv 3 fc 3x224x224 ", 22), 0);
  assert_string_equal(text + 22 + 16, " b1 f32");
}

/* With batch norm and without, plans are the same: it is folded into the weights. */
static void batch_norm_makes_no_other_network(void **state) {
  (void)state;
  const clvgg_engine_options o = options();
  char plain[ROWS_NETWORK_BYTES], normed[ROWS_NETWORK_BYTES];
  name_of("vgg11", 224, 224, &o, plain);
  name_of("vgg11_bn", 224, 224, &o, normed);
  assert_string_equal(plain, normed);
}

static void options_that_plans_depend_on_make_another(void **state) {
  (void)state;
  clvgg_engine_options others[9];
  size_t height[9], width[9];
  for (size_t i = 0; i < 9; i++) others[i] = options(), height[i] = width[i] = 224;
  others[1].max_batch = 8;
  others[2].precision = CLVGG_PRECISION_F16W;
  others[3].precision = CLVGG_PRECISION_F24W;
  others[4].memory = CLVGG_MEMORY_SMALL;
  others[5].input = CLVGG_INPUT_RGB8;
  others[6].softmax = 1;
  height[7] = 192;
  width[8] = 192;
  char text[10][ROWS_NETWORK_BYTES];
  for (size_t i = 0; i < 9; i++) name_of("vgg11", height[i], width[i], &others[i], text[i]);
  name_of("vgg13", 224, 224, &others[0], text[9]);
  for (size_t i = 0; i < 10; i++)
    for (size_t k = 0; k < i; k++) assert_string_not_equal(text[i], text[k]);
  /* What they do not depend on. */
  clvgg_engine_options same = options();
  char again[ROWS_NETWORK_BYTES];
  const clvgg_preprocess pre = {.bgr = 1};
  same.algorithm = "conv_f32_nchw_naive";
  same.preprocess = &pre;
  name_of("vgg11", 224, 224, &same, again);
  assert_string_equal(again, text[0]);
}

/* Layers that differ in one number or flag. */
static void every_layer_counts(void **state) {
  (void)state;
  const clvgg_engine_options o = options();
  layer layers[2] = {
      {.name = "conv1_1", .shape = {.op = LAYER_CONV, .relu = true, .in = {3, 8, 8}, .out = {16, 8, 8}}},
      {.name = "fc6", .shape = {.op = LAYER_FC, .in = {16, 8, 8}, .out = {10, 1, 1}}},
  };
  char text[ROWS_NETWORK_BYTES], other[ROWS_NETWORK_BYTES];
  rows_network(layers, 2, &o, text);
  layers[1].shape.out.c = 11;
  rows_network(layers, 2, &o, other);
  assert_string_not_equal(text, other);
  layers[1].shape.out.c = 10;
  layers[0].shape.relu = false;
  rows_network(layers, 2, &o, other);
  assert_string_not_equal(text, other);
  layers[0].shape.relu = true;
  strcpy(layers[0].name, "another"); /* names do not */
  rows_network(layers, 2, &o, other);
  assert_string_equal(text, other);
}

/* ---- candidates */

#define PROBLEM "conv 64x56x56 64x56x56 relu b1 k16"
#define DIRECT  "conv_f32_nchw_direct"
#define PARAMS  "TILE_X=4 TILE_Y=2 TILE_OC=8"

static tuning_measurement row(const char *problem, const char *algorithm, const char *params, bool alone,
                              double seconds) {
  tuning_measurement m;
  rows_measurement(problem, algorithm, params, alone, &m);
  m.seconds = seconds;
  return m;
}

static void rows_are_known_again(void **state) {
  (void)state;
  tuning_measurement rows[2 + FAULTS];
  rows[0] = row(PROBLEM, DIRECT, PARAMS, true, 0.25);
  rows[1] = row(PROBLEM, DIRECT, PARAMS, false, 0.5);
  assert_string_equal(rows[0].problem, PROBLEM " alone");
  assert_string_equal(rows[1].problem, PROBLEM);
  assert_true(rows[0].state == TUNING_OK && rows[0].source == TUNING_MEASURED && rows[0].runs == 1);
  static const tuning_state states[FAULTS] = {TUNING_OK,    TUNING_BUILD, TUNING_CRASH, TUNING_HANG,
                                              TUNING_ERROR, TUNING_NAN,   TUNING_WRONG};
  for (int fault = 0; fault < FAULTS; fault++) {
    rows[2 + fault] = row(PROBLEM, DIRECT, PARAMS, false, 0);
    rows[2 + fault].state = states[fault];
  }
  tune_task task = {0};
  assert_int_equal(rows_known(rows, 2 + FAULTS, &task), CLVGG_OK);
  assert_int_equal(task.known_count, 2 + FAULTS);
  const int param[] = {4, 2, 8};
  for (size_t i = 0; i < task.known_count; i++) {
    const tune_known *k = &task.known[i];
    char text[ALGO_PROBLEM_BYTES];
    assert_ptr_equal(k->algo, algo_find(DIRECT));
    assert_string_equal(algo_problem_text(&k->problem, text), PROBLEM);
    assert_memory_equal(k->param, param, sizeof param);
    assert_int_equal(k->fault, i < 2 ? FAULT_NONE : i - 2);
  }
  /* In milliseconds by itself, in seconds in the network. */
  assert_true(task.known[0].alone_ms == 250 && task.known[0].seconds == 0);
  assert_true(task.known[1].alone_ms == 0 && task.known[1].seconds == 0.5);
  task_free(&task);
}

static void rows_of_others_are_passed_over(void **state) {
  (void)state;
  tuning_measurement rows[] = {
      row(PROBLEM, DIRECT, PARAMS, false, 1), /* of another driver */
      row(PROBLEM, "conv_f32_nchw_magic", PARAMS, false, 1),
      row(PROBLEM, DIRECT, "TILE_X=4", false, 1),
      row("conv 64x56x56 64x56x56", DIRECT, PARAMS, false, 1),
      row(PROBLEM " ", DIRECT, PARAMS, true, 1),
      row("", DIRECT, PARAMS, true, 1),
      row("", DIRECT, PARAMS, false, 1),
      row(PROBLEM, DIRECT, PARAMS, false, 2), /* the only one */
  };
  rows[0].other_software = true;
  tune_task task = {0};
  assert_int_equal(rows_known(rows, sizeof rows / sizeof *rows, &task), CLVGG_OK);
  assert_int_equal(task.known_count, 1);
  assert_true(task.known[0].seconds == 2);
  task_free(&task);
}

/* ---- forgetting */

static size_t count_rows(tuning *t, const tuning_key *key, bool failed, bool other) {
  tuning_measurement *rows;
  size_t count, found = 0;
  assert_int_equal(tuning_list(t, key, &rows, &count), CLVGG_OK);
  for (size_t i = 0; i < count; i++) found += (rows[i].state != TUNING_OK) == failed && rows[i].other_software == other;
  free(rows);
  return found;
}

static void times_are_forgotten_and_failures_stay(void **state) {
  (void)state;
  tuning *t = open_stored();
  const tuning_key key = made_up_key("1.0"), other = made_up_key("2.0");
  int64_t session;
  assert_int_equal(tuning_session_begin(t, &session), CLVGG_OK);
  const tuning_measurement ok = ok_row("one", 0.5, session), failed = failed_row("two", TUNING_HANG, "why", session);
  const tuning_plan p = {.network = "some", .steps = "x 1", .ms = 1, .untuned_ms = 2, .session = session};
  const tuning_key *keys[] = {&key, &other};
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(tuning_record(t, keys[i], &ok), CLVGG_OK);
    assert_int_equal(tuning_record(t, keys[i], &failed), CLVGG_OK);
    assert_int_equal(tuning_record_plan(t, keys[i], &p), CLVGG_OK);
  }
  assert_int_equal(count_rows(t, &key, false, false), 1);
  assert_int_equal(count_rows(t, &key, true, false), 1);
  assert_int_equal(rows_forget(t, &key), CLVGG_OK);
  assert_int_equal(count_rows(t, &key, false, false), 0);
  assert_int_equal(count_rows(t, &key, true, false), 1);
  tuning_measurement found;
  assert_true(find(t, &key, "two", &found));
  assert_int_equal(found.state, TUNING_HANG);
  assert_string_equal(found.reason, "why");
  assert_int_equal(found.created, failed.created);
  /* The plan with the times; the other driver's rows stay as they were, and were not copied. */
  tuning_plan plan_found;
  bool is_found;
  assert_int_equal(tuning_find_plan(t, &key, "some", &plan_found, &is_found), CLVGG_OK);
  assert_true(!is_found || plan_found.other_software);
  assert_int_equal(tuning_find_plan(t, &other, "some", &plan_found, &is_found), CLVGG_OK);
  assert_true(is_found && !plan_found.other_software);
  assert_int_equal(count_rows(t, &other, false, false), 1);
  assert_int_equal(count_rows(t, &other, true, false), 1);
  assert_int_equal(rows_forget(t, &key), CLVGG_OK); /* again */
  assert_int_equal(count_rows(t, &key, true, false), 1);
  tuning_close(&t);
}

/* ---- keys */

static void other_kernels_make_another_key(void **state) {
  (void)state;
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU);
  tuning_key own, mine, changed;
  unsetenv("CLVGG_KERNEL_DIR");
  rows_key(&cpu, &own);
  assert_int_equal(strlen(own.kernels), 16);
  make_file("conv_naive.cl", "one");
  setenv("CLVGG_KERNEL_DIR", folder, 1);
  rows_key(&cpu, &mine);
  make_file("conv_naive.cl", "two");
  rows_key(&cpu, &changed);
  assert_string_not_equal(own.kernels, mine.kernels);
  assert_string_not_equal(changed.kernels, mine.kernels);
  setenv("CLVGG_KERNEL_DIR", "", 1);
  rows_key(&cpu, &mine);
  assert_string_equal(own.kernels, mine.kernels);
  unsetenv("CLVGG_KERNEL_DIR");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_networks_text_says_what_it_is),
      TEST(batch_norm_makes_no_other_network),
      TEST(options_that_plans_depend_on_make_another),
      TEST(every_layer_counts),
      TEST(rows_are_known_again),
      TEST(rows_of_others_are_passed_over),
      TEST(times_are_forgotten_and_failures_stay),
      TEST(other_kernels_make_another_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
