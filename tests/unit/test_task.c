/* What a worker is told to tune: lines that read back the same, and damaged ones that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "tune/task.h"

/* ---- lines, as they travel */
typedef struct letter {
  size_t count;
  char lines[64][MESSAGE_BYTES];
} letter;

static clvgg_status keep(const char *line, void *user) {
  letter *l = user;
  assert_true(l->count < 64);
  assert_true(message_valid(line, strlen(line)));
  snprintf(l->lines[l->count++], MESSAGE_BYTES, "%s", line);
  return CLVGG_OK;
}

static clvgg_status read_line(tune_task *task, const char *line) {
  char copy[MESSAGE_BYTES], *fields[TASK_MOST_FIELDS];
  size_t count = 0;
  snprintf(copy, sizeof copy, "%s", line);
  assert_int_equal(message_split(copy, fields, TASK_MOST_FIELDS, &count), CLVGG_OK);
  return task_read(task, fields, count);
}

static void know(tune_task *task, const char *name, candidate_fault fault, double alone_ms, double seconds) {
  tune_known k = {.algo = algo_find(name), .fault = fault, .alone_ms = alone_ms, .seconds = seconds};
  k.problem = (algo_problem){.batch = 4, .block = 16};
  k.problem.shape = (layer_shape){.op = k.algo->op, .relu = true, .in = {64, 56, 56}, .out = {64, 56, 56}};
  for (size_t i = 0; k.algo->params && k.algo->params[i].name; i++) k.param[i] = k.algo->params[i].legal[1];
  assert_int_equal(task_know(task, &k), CLVGG_OK);
}

/* A task that has something in every field, with a name that a line must escape. */
static tune_task make_task(void) {
  static stand_in_layer layers[] = {
      {"conv1_1", {.op = LAYER_CONV, .relu = true, .in = {3, 224, 224}, .out = {64, 224, 224}}},
      {"pool1", {.op = LAYER_MAXPOOL, .in = {64, 224, 224}, .out = {64, 112, 112}}},
      {"a name with a \t and a \\", {.op = LAYER_FC, .in = {64, 112, 112}, .out = {1000, 1, 1}}},
  };
  tune_task t = {
      .device_id = "1:2", .device_name = "A \t device, \xC3\xA4 \\ \x01", .layers = layers, .layer_count = 3};
  t.options = (clvgg_engine_options){.struct_size = sizeof t.options,
                                     .max_batch = 4,
                                     .height = 200,
                                     .width = 201,
                                     .softmax = 1,
                                     .precision = CLVGG_PRECISION_BF16,
                                     .memory = CLVGG_MEMORY_SMALL,
                                     .input = CLVGG_INPUT_RGB8};
  t.preprocess = (clvgg_preprocess){.bgr = 1, .mean = {123.675f, 116.28f, 0.1f}, .std = {58.395f, 1e-30f, 3e38f}};
  t.budget_ms = 1234.5678;
  t.exhaustive = true;
  strcpy(t.layer, "conv1_1+pool1");
  static const char *const names[] = {"conv_f32_nchw_tiled", "fc_f32_naive"};
  for (int fault = 0; fault < FAULTS; fault++) know(&t, names[fault % 2], (candidate_fault)fault, 0.1 * fault, 1e-9);
  return t;
}

static void expect_same_options(const tune_task *a, const tune_task *b) {
  const clvgg_engine_options *x = &a->options, *y = &b->options;
  assert_string_equal(a->device_id, b->device_id);
  assert_string_equal(a->device_name, b->device_name);
  assert_true(x->struct_size == y->struct_size && x->max_batch == y->max_batch && x->height == y->height &&
              x->width == y->width && x->softmax == y->softmax && x->precision == y->precision &&
              x->memory == y->memory && x->input == y->input);
  assert_true(a->preprocess.bgr == b->preprocess.bgr);
  assert_memory_equal(a->preprocess.mean, b->preprocess.mean, sizeof a->preprocess.mean);
  assert_memory_equal(a->preprocess.std, b->preprocess.std, sizeof a->preprocess.std);
  assert_true(a->budget_ms == b->budget_ms);
  assert_int_equal(a->exhaustive, b->exhaustive);
  assert_string_equal(a->layer, b->layer);
}

static void expect_same(const tune_task *a, const tune_task *b) {
  expect_same_options(a, b);
  assert_int_equal(a->layer_count, b->layer_count);
  for (size_t i = 0; i < a->layer_count; i++) {
    const algo_problem p = {.shape = a->layers[i].shape}, q = {.shape = b->layers[i].shape};
    assert_string_equal(a->layers[i].name, b->layers[i].name);
    assert_true(costs_same_problem(&p, &q));
  }
  assert_int_equal(a->known_count, b->known_count);
  for (size_t i = 0; i < a->known_count; i++) {
    const tune_known *k = &a->known[i], *m = &b->known[i];
    assert_ptr_equal(k->algo, m->algo);
    assert_true(costs_same_problem(&k->problem, &m->problem));
    assert_memory_equal(k->param, m->param, sizeof k->param);
    assert_int_equal(k->fault, m->fault);
    assert_true(k->alone_ms == m->alone_ms && k->seconds == m->seconds);
  }
}

static void free_made(tune_task *t) {
  t->layers = NULL; /* static */
  task_free(t);
}

static void expect_round_trip(const tune_task *t) {
  letter *l = calloc(1, sizeof *l);
  tune_task found = {0};
  assert_non_null(l);
  assert_int_equal(task_write(t, keep, l), CLVGG_OK);
  for (size_t i = 0; i < l->count; i++)
    if (read_line(&found, l->lines[i])) fail_msg("'%s': %s", l->lines[i], clvgg_last_error());
  expect_same(&found, t);
  task_free(&found);
  assert_true(found.layers == NULL && found.known == NULL && found.known_count == 0);
  free(l);
}

static void tasks_read_back(void **state) {
  (void)state;
  tune_task t = make_task();
  expect_round_trip(&t);
  /* And with nothing that can be left out. */
  tune_task plain = {.device_id = "0:0", .layers = t.layers, .layer_count = 1};
  plain.options = (clvgg_engine_options){.struct_size = sizeof plain.options, .max_batch = 1};
  expect_round_trip(&plain);
  t.exhaustive = false;
  t.layer[0] = '\0';
  t.budget_ms = 0;
  expect_round_trip(&t);
  free_made(&t);
}

/* Pixels are told of only where the input is pixels. */
static void floats_have_no_pixels(void **state) {
  (void)state;
  tune_task t = make_task();
  letter *l = calloc(1, sizeof *l);
  assert_non_null(l);
  for (int rgb8 = 0; rgb8 < 2; rgb8++) {
    size_t pixels = 0;
    l->count = 0;
    t.options.input = rgb8 ? CLVGG_INPUT_RGB8 : CLVGG_INPUT_F32;
    assert_int_equal(task_write(&t, keep, l), CLVGG_OK);
    for (size_t i = 0; i < l->count; i++) pixels += strncmp(l->lines[i], "pixels\t", 7) == 0;
    assert_int_equal(pixels, rgb8);
  }
  free(l);
  free_made(&t);
}

/* An application's decimal comma is its own matter. */
static void numbers_are_the_same_in_every_locale(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR", "ru_RU.UTF-8"};
  const char *set = NULL;
  for (size_t i = 0; !set && i < sizeof names / sizeof *names; i++) set = setlocale(LC_ALL, names[i]);
  if (!set) print_message("no locale with a decimal comma is installed\n");
  tune_task t = make_task();
  letter *l = calloc(1, sizeof *l);
  assert_non_null(l);
  const clvgg_status status = task_write(&t, keep, l);
  setlocale(LC_ALL, "C"); /* the worker's */
  assert_int_equal(status, CLVGG_OK);
  tune_task found = {0};
  for (size_t i = 0; i < l->count; i++)
    if (read_line(&found, l->lines[i])) fail_msg("'%s': %s", l->lines[i], clvgg_last_error());
  expect_same(&found, &t);
  task_free(&found);
  free(l);
  free_made(&t);
}

static clvgg_status refuse_third(const char *line, void *user) {
  size_t *calls = user;
  (void)line;
  return ++*calls == 3 ? base_fail(CLVGG_ERROR_IO, "nobody listens") : CLVGG_OK;
}

static void writing_ends_with_the_first_failure(void **state) {
  (void)state;
  tune_task t = make_task();
  size_t calls = 0;
  assert_int_equal(task_write(&t, refuse_third, &calls), CLVGG_ERROR_IO);
  assert_int_equal(calls, 3);
  free_made(&t);
}

#define ZERO "\t0000000000000000"

/* Each line of a task with a field less, with one more, and with each number replaced by what is none. */
static void damaged_lines_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "",
      "version",
      "version\t",
      "version\t0.0.0-another",
      "go",
      "nothing",
      "Device\t0:0\tname",
      "options\t0\t0\t0\t0\t0\t0\t0",          /* batch 0 */
      "options\t1000000000\t0\t0\t0\t0\t0\t0", /* beyond what there can be */
      "options\t1\t4294967296\t0\t0\t0\t0\t0",
      "options\t1\t0\t99999999999999999999\t0\t0\t0\t0",
      "options\t1\t0\t0\t2\t0\t0\t0",
      "options\t1\t0\t0\t0\t4\t0\t0", /* each precision by itself */
      "options\t1\t0\t0\t0\t6\t0\t0",
      "options\t1\t0\t0\t0\t0\t3\t0",
      "options\t1\t0\t0\t0\t0\t0\t2",
      "options\t1\t-1\t0\t0\t0\t0\t0",
      "options\t1\t+1\t0\t0\t0\t0\t0",
      "options\t1\t 1\t0\t0\t0\t0\t0",
      "options\t1\t\t0\t0\t0\t0\t0",
      "options\t1x\t0\t0\t0\t0\t0\t0",
      "pixels\t2" ZERO ZERO ZERO ZERO ZERO ZERO,
      "pixels\t0\tx" ZERO ZERO ZERO ZERO ZERO,
      "pixels\t0" ZERO ZERO ZERO ZERO ZERO "\t",
      "pixels\t0\t7ff8000000000000" ZERO ZERO ZERO ZERO ZERO,
      "layer\tconv1_1\tconv",
      "layer\tconv1_1\tconv 3x4x5 6x4x5 b1",
      "layer\tconv1_1\tmagic 3x4x5 6x4x5 b1 k1",
      "search\t7ff0000000000000\t0\t", /* an infinity */
      "search\t7ff8000000000001\t0\t", /* no number */
      "search\t000000000000000\t0\t",  /* too short, too long, other digits */
      "search\t00000000000000000\t0\t",
      "search\t+000000000000000\t0\t",
      "search\t000000000000000G\t0\t",
      "search\tinf\t0\t",
      "search\t\t0\t",
      "search\t1,5\t0\t",
      "search\t0000000000000000\t2\t",
      "search\t0000000000000000\tyes\t",
      "known\tfc 3x4x5 6x1x1 b1 k16\tfc_f32_magic\t\t\t0000000000000000\t0000000000000000",
      "known\tfc 3x4x5 b1 k16\tfc_f32_naive\t\t\t0000000000000000\t0000000000000000",
      "known\tfc 3x4x5 6x1x1 b1 k16\tfc_f32_naive\tROWS=1\t\t0000000000000000\t0000000000000000",
      "known\tfc 3x4x5 6x1x1 b1 k16\tfc_f32_naive\t\tokay\t0000000000000000\t0000000000000000",
      "known\tfc 3x4x5 6x1x1 b1 k16\tfc_f32_naive\t\t\tsoon\t0000000000000000",
      "known\tfc 3x4x5 6x1x1 b1 k16\tfc_f32_naive\t\t\t0000000000000000\t7ff0000000000000",
  };
  tune_task t = {0};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    if (read_line(&t, wrong[i]) != CLVGG_ERROR_FORMAT) fail_msg("'%s' is read", wrong[i]);
    assert_int_equal(t.known_count + t.layer_count, 0);
  }
  tune_task made = make_task();
  letter *l = calloc(1, sizeof *l);
  assert_non_null(l);
  assert_int_equal(task_write(&made, keep, l), CLVGG_OK);
  for (size_t i = 0; i < l->count; i++) {
    char line[MESSAGE_BYTES];
    snprintf(line, sizeof line, "%.8000s\t", l->lines[i]);
    assert_int_equal(read_line(&t, line), CLVGG_ERROR_FORMAT);
    *strrchr(line, '\t') = '\0';
    *strrchr(line, '\t') = '\0';
    assert_int_equal(read_line(&t, line), CLVGG_ERROR_FORMAT);
  }
  free(l);
  free_made(&made);
  task_free(&t);
}

static void more_than_expected_is_cut_or_refused(void **state) {
  (void)state;
  char line[MESSAGE_BYTES], name[400];
  tune_task t = {0};
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  snprintf(line, sizeof line, "device\t%s\t%s", name, name);
  assert_int_equal(read_line(&t, line), CLVGG_OK);
  assert_int_equal(strlen(t.device_id), sizeof t.device_id - 1);
  assert_int_equal(strlen(t.device_name), sizeof t.device_name - 1);
  /* Layers without end: whoever wrote them is not this library. */
  size_t count = 0;
  while (count < 100000 && read_line(&t, "layer\tconv1_1\tconv 3x4x5 6x4x5 b1 k1") == CLVGG_OK) count++;
  assert_int_equal(count, 1000);
  assert_int_equal(t.layer_count, 1000);
  for (size_t i = 0; i < t.layer_count; i++) assert_int_equal(t.layers[i].shape.out.c, 6);
  task_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tasks_read_back),
      cmocka_unit_test(floats_have_no_pixels),
      cmocka_unit_test(numbers_are_the_same_in_every_locale),
      cmocka_unit_test(writing_ends_with_the_first_failure),
      cmocka_unit_test(damaged_lines_are_refused),
      cmocka_unit_test(more_than_expected_is_cut_or_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
